//! A browser that a test drives: Chromium by way of chromedriver, each with a new profile.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::daemon::{Daemon, patience, wait_for};

/// What lets Chromium run as root, without a screen, and without asking the world for anything.
/// Nothing here makes it play videos that it would not play for a person.
const ARGUMENTS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    // A machine without a network has no other address.
    "--allow-loopback-in-peer-connection",
];

/// Browsers are heavy: the tests of a program have one at a time.
static TURN: Mutex<()> = Mutex::new(());

/// A running browser. Closed when dropped.
pub struct Browser {
    client: Client,
    runtime: Runtime,
    driver: Child,
    _folders: [Option<TempDir>; 2],
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With further arguments.
    pub fn with(arguments: &[&str]) -> Self {
        Self::in_home(None, arguments)
    }

    /// One that was told to trust a certificate authority, as its owner would in the settings: its
    /// certificate, DER.
    pub fn trusting(root: &[u8]) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let file = home.path().join("root.crt");
        std::fs::write(&file, root).expect("written");
        // Where Chromium looks on Linux.
        let database = home.path().join(".pki/nssdb");
        std::fs::create_dir_all(&database).expect("a folder");
        let database = format!("sql:{}", database.display());
        let certutil = |arguments: &[&str]| {
            let done = Command::new("certutil").args(arguments).status();
            let done = done.expect("certutil runs; scripts/install-test-tools installs it");
            assert!(done.success(), "{arguments:?}");
        };
        certutil(&["-N", "-d", &database, "--empty-password"]);
        let file = file.display().to_string();
        certutil(&["-A", "-d", &database, "-t", "C,,", "-n", "camera", "-i", &file]);
        Self::in_home(Some(home), &[])
    }

    fn in_home(home: Option<TempDir>, arguments: &[&str]) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = tempfile::tempdir().expect("a folder");
        let (driver, address) = start_driver(home.as_ref());
        let folder = format!("--user-data-dir={}", profile.path().display());
        let all: Vec<&str> =
            ARGUMENTS.iter().chain(arguments).copied().chain([folder.as_str()]).collect();
        // A script that is waited for, such as axe-core's on a busy machine, may take longer than
        // the 30 s that are usual (WebDriver, "session script timeout").
        let script = patience().as_millis() * 4;
        let capabilities =
            json!({ "goog:chromeOptions": { "args": all }, "timeouts": { "script": script } });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("written as an object")
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("threads");
        let client = runtime
            .block_on(
                ClientBuilder::new(HttpConnector::new())
                    .capabilities(capabilities)
                    .connect(&address),
            )
            .expect("chromedriver starts Chromium");
        Self { client, runtime, driver, _folders: [Some(profile), home], _turn: turn }
    }

    pub fn open(&self, url: &str) {
        self.run(self.client.goto(url));
    }

    /// The same for a page that may not open: a warning is one that did not.
    pub fn try_to_open(&self, url: &str) {
        let _ = self.runtime.block_on(self.client.goto(url));
    }

    pub fn reload(&self) {
        self.run(self.client.refresh());
    }

    /// Opens a tab, and goes there.
    pub fn new_tab(&self, url: &str) {
        let tab = self.run(self.client.new_window(true));
        self.run(self.client.switch_to_window(tab.handle));
        self.open(url);
    }

    /// Goes to the tab opened as number `n`, from 0.
    pub fn switch_to_tab(&self, n: usize) {
        let tabs = self.run(self.client.windows());
        self.run(self.client.switch_to_window(tabs[n].clone()));
    }

    pub fn close_tab(&self) {
        self.run(self.client.close_window());
    }

    /// The cookies that the page's site has, also those that scripts do not see, by the names of
    /// WebDriver's "serialized cookie".
    pub fn cookies(&self) -> Vec<Value> {
        let cookies = self.run(self.client.get_all_cookies());
        let cookies = cookies.iter().map(|cookie| {
            json!({
                "name": cookie.name(),
                "path": cookie.path(),
                "secure": cookie.secure().unwrap_or_default(),
                "httpOnly": cookie.http_only().unwrap_or_default(),
            })
        });
        cookies.collect()
    }

    /// What the body of a function returns on the page.
    pub fn js(&self, body: &str) -> Value {
        self.run(self.client.execute(body, Vec::new()))
    }

    /// What an `await`ed expression is on the page.
    pub fn js_await(&self, expression: &str) -> Value {
        let body = format!(
            "const done = arguments[0]; Promise.resolve({expression}).then(done, (e) => done(String(e)));"
        );
        self.run(self.client.execute_async(&body, Vec::new()))
    }

    /// The text one can see in the first element for the selector.
    pub fn text(&self, selector: &str) -> String {
        self.run(self.find(selector).text())
    }

    pub fn click(&self, selector: &str) {
        self.run(self.find(selector).click());
    }

    pub fn fill(&self, selector: &str, text: &str) {
        self.run(self.find(selector).send_keys(text));
    }

    /// The elements that stick out of the window at its sides.
    pub fn sticking_out(&self) -> Value {
        self.js("return [...document.querySelectorAll('main *')].filter((element) => {
             const { left, right, width } = element.getBoundingClientRect();
             return width > 1 && (left < 0 || right > innerWidth);
         }).map(({ outerHTML }) => outerHTML);")
    }

    /// Goes on inside the page's frame `n`, from 0.
    pub fn enter_frame(&self, n: u16) {
        self.run(self.client.enter_frame(n));
    }

    /// A picture of the window, as a PNG.
    pub fn picture(&self) -> Vec<u8> {
        self.run(self.client.screenshot())
    }

    /// Presses keys, wherever the focus is.
    pub fn press(&self, keys: &str) {
        self.run(async {
            let focused = self.client.active_element().await?;
            focused.send_keys(keys).await
        });
    }

    pub fn press_escape(&self) {
        self.press(&String::from(char::from(Key::Escape)));
    }

    /// Waits until the expression is true on the page.
    pub fn wait_for(&self, what: &str, expression: &str) {
        let body = format!("return Boolean({expression});");
        // Scripts fail while a page makes way for another.
        wait_for(what, || {
            let result = self.runtime.block_on(self.client.execute(&body, Vec::new()));
            result.is_ok_and(|value| value == Value::Bool(true))
        });
    }

    fn find(&self, selector: &str) -> Element {
        let until = Instant::now() + patience();
        let result = self.runtime.block_on(
            self.client.wait().at_most(until - Instant::now()).for_element(Locator::Css(selector)),
        );
        result.unwrap_or_else(|e| panic!("no {selector}: {e}"))
    }

    fn run<T>(&self, command: impl Future<Output = Result<T, CmdError>>) -> T {
        let result = self.runtime.block_on(command);
        result.expect("the browser does as told")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let close = async {
            tokio::time::timeout(Duration::from_secs(10), self.client.clone().close()).await
        };
        if !matches!(self.runtime.block_on(close), Ok(Ok(()))) {
            let _ = writeln!(std::io::stderr(), "the browser did not close by itself");
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Starts chromedriver on a port of its own choice, and says where.
fn start_driver(home: Option<&TempDir>) -> (Child, String) {
    let mut driver = Command::new("chromedriver");
    if let Some(home) = home {
        driver.env("HOME", home.path());
    }
    let mut driver = driver
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver runs; scripts/install-test-tools installs it");
    let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
    let port = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| {
            let (_, rest) = line.split_once("started successfully on port ")?;
            rest.trim_end_matches('.').parse::<u16>().ok()
        })
        .expect("chromedriver says its port");
    // Keep the pipe open, or the driver's next line would end it.
    std::thread::spawn(move || for _ in lines.map_while(Result::ok) {});
    (driver, format!("http://127.0.0.1:{port}"))
}

/// A site whose player runs in a browser that `lacks` something: a stand-in for one that does.
pub fn site_for_a_browser_that(lacks: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    // The first start writes the data-files.
    drop(Daemon::start(&[&format!("site.data_location={}", folder.path().display())]));
    std::fs::write(folder.path().join("static/js/lacks.js"), lacks).expect("written");
    let page = folder.path().join("templates/index.html");
    let text = std::fs::read_to_string(&page).expect("a page");
    let block = "{% block head %}";
    let before = format!("{block}<script src=\"/static/js/lacks.js\"></script>");
    std::fs::write(&page, text.replacen(block, &before, 1)).expect("written");
    folder
}
