//! The appliance in an emulated machine: its card, its plug, its console.
//!
//! The card is a copy of the image that `PICKET_IMAGE` names, so that nothing but what a person
//! would write onto a card is tested; `scripts/run-image` starts it and plays the firmware.

mod card;
pub mod system;
pub mod writes;

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use card::Card;

/// A line of shell that says the number of the steward's process. The image has no `pgrep`.
pub const STEWARD: &str =
    "grep -l '^PPid:.1$' $(grep -l '^Name:.picket$' /proc/[0-9]*/status) | cut -d/ -f3";

/// Long enough for an emulated machine on a busy one; nothing is expected to take it.
pub const PATIENCE: Duration = Duration::from_secs(420);

/// Emulation takes all that this machine has: one at a time.
static TURN: Mutex<()> = Mutex::new(());

/// A device that was switched on. Its plug is pulled when dropped.
pub struct Device {
    run: Child,
    /// What it and the firmware have said so far.
    console: PathBuf,
    firmware: PathBuf,
    folder: TempDir,
    /// Where its pages are.
    pub http: SocketAddr,
    /// Where they are by HTTPS.
    pub https: SocketAddr,
    key: PathBuf,
    ssh: u16,
    _turn: MutexGuard<'static, ()>,
}

/// How a device is started.
#[derive(Default)]
pub struct Options {
    /// Keep every write to the card in this file.
    pub log_writes: Option<PathBuf>,
    /// End with the first restart.
    pub once: bool,
    /// Start the other system once, as after an update.
    pub tryboot: bool,
}

impl Device {
    /// Puts the card in and switches the device on.
    pub fn start(card: &Card) -> Self {
        Self::start_with(card, &Options::default())
    }

    pub fn start_with(card: &Card, options: &Options) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let [http, https, ssh] = [(); 3].map(|()| free_tcp_port());
        let firmware = path("firmware");
        let mut command = Command::new("scripts/run-image");
        command
            .args(["--firmware", "--plain", "--http", &http.to_string()])
            .args(["--https", &https.to_string()])
            .args(["--udp", &card.udp_port.to_string(), "--ssh", &ssh.to_string()])
            .arg("--keep")
            .arg(&card.file)
            .arg("--console")
            .arg(path("console"))
            .arg("--qmp")
            .arg(path("qmp"));
        if let Some(extras) = extras() {
            command.arg("--disk").arg(extras);
        }
        if let Some(log) = &options.log_writes {
            command.arg("--log-writes").arg(log);
        }
        for (wanted, option) in [(options.once, "--once"), (options.tryboot, "--tryboot")] {
            if wanted {
                command.arg(option);
            }
        }
        let said = File::create(&firmware).expect("a file");
        let run = command
            .stdin(Stdio::null())
            .stderr(said.try_clone().expect("a file"))
            .stdout(said)
            .spawn()
            .expect("scripts/run-image runs");
        Self {
            run,
            console: path("console"),
            firmware,
            http: SocketAddr::from(([127, 0, 0, 1], http)),
            https: SocketAddr::from(([127, 0, 0, 1], https)),
            key: card.key.clone(),
            ssh,
            folder,
            _turn: turn,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// Everything the device has written to its console since it was switched on.
    pub fn console(&self) -> String {
        let bytes = std::fs::read(&self.console).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }

    /// Everything the firmware has decided since then.
    pub fn firmware(&self) -> String {
        std::fs::read_to_string(&self.firmware).unwrap_or_default()
    }

    /// Waits until `done`, while the device is on.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done(self) {
            let ended = self.run.try_wait().expect("waitable");
            let patient = Instant::now() < until && ended.is_none();
            assert!(
                patient,
                "gave up waiting for {what} ({ended:?})\n{}\n{}",
                self.firmware(),
                self.console()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits for a line on the console, the `count`th that contains `text`.
    #[track_caller]
    pub fn wait_for_line(&mut self, text: &str, count: usize) {
        self.wait_for(text, |device| device.console().matches(text).count() >= count);
    }

    /// Waits until its pages answer.
    #[track_caller]
    pub fn wait_for_pages(&mut self) {
        self.wait_for("the pages answer", |device| device.get("/healthz").is_some());
    }

    /// What a page holds; none while nobody answers, or not with success.
    pub fn get(&self, path: &str) -> Option<String> {
        self.ask_for(path, "*/*", true)
    }

    /// The same as a browser asks, which shows a page whatever its status is.
    pub fn browse(&self, path: &str) -> Option<String> {
        self.ask_for(path, "text/html", false)
    }

    fn ask_for(&self, path: &str, accept: &str, only_success: bool) -> Option<String> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(5)))
            .http_status_as_error(only_success)
            .build()
            .into();
        let request = agent.get(self.url(path)).header("accept", accept);
        request.call().ok()?.body_mut().read_to_string().ok()
    }

    /// Signs in as the owner, and returns the cookie that says so.
    #[track_caller]
    pub fn sign_in(&self, password: &str) -> String {
        let request = ureq::post(self.url("/login")).header("content-type", "application/json");
        let body = serde_json::json!({ "password": password }).to_string();
        let signed = request.send(body).unwrap_or_else(|e| panic!("{e}\n{}", self.console()));
        let cookie = signed.headers().get("set-cookie").and_then(|value| value.to_str().ok());
        cookie.and_then(|cookie| cookie.split(';').next()).expect("a session").to_owned()
    }

    /// Runs a line in the device's shell, by SSH. The error is what it says.
    pub fn try_shell(&self, line: &str) -> Result<String, String> {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"])
            .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"])
            .args(["-o", "ConnectTimeout=20", "-o", "ControlMaster=auto"])
            .args(["-o", "ControlPersist=yes", "-o"])
            .arg(format!("ControlPath={}", self.folder.path().join("ssh").display()))
            .arg("-i")
            .arg(&self.key)
            .args(["-p", &self.ssh.to_string(), "root@127.0.0.1", line])
            .stdin(Stdio::null());
        let output = ssh.output().map_err(|e| e.to_string())?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.success() {
            true => Ok(said),
            false => Err(said + &String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// The same, for a line that has to succeed.
    #[track_caller]
    pub fn shell(&self, line: &str) -> String {
        self.try_shell(line).unwrap_or_else(|said| panic!("{line}: {said}\n{}", self.console()))
    }

    /// Waits until one can sign in.
    #[track_caller]
    pub fn wait_for_shell(&mut self) {
        self.wait_for("SSH answers", |device| {
            TcpAnswers::at(device.ssh) && device.try_shell("true").is_ok()
        });
    }

    /// Plugs the network's cable in, or pulls it out.
    pub fn cable(&self, plugged: bool) {
        // Documentation/interop/qmp-spec in QEMU: a greeting, and an answer to each command.
        let stream = UnixStream::connect(self.folder.path().join("qmp")).expect("QEMU listens");
        let mut answers = BufReader::new(stream.try_clone().expect("a socket")).lines();
        let link =
            format!("{{'execute': 'set_link', 'arguments': {{'name': 'net', 'up': {plugged}}}}}");
        for command in ["{'execute': 'qmp_capabilities'}", &link] {
            writeln!(&stream, "{command}").expect("written");
            // Events may come in between.
            let mut answers = answers.by_ref().map(|line| line.expect("an answer"));
            let answer =
                answers.find(|line| line.contains("\"return\"") || line.contains("\"error\""));
            assert!(answer.as_ref().is_some_and(|a| a.contains("\"return\"")), "{answer:?}");
        }
    }

    /// Pulls the plug.
    pub fn pull_plug(mut self) {
        self.cut();
    }

    /// Switches it off properly, from its shell.
    #[track_caller]
    pub fn power_off(mut self) {
        self.shell("poweroff");
        self.wait_for_end();
        assert!(self.console().contains("the device is shutting down"), "{}", self.console());
    }

    /// Waits until it is off, or for the restart it was started to end with.
    #[track_caller]
    pub fn wait_for_end(&mut self) {
        let until = Instant::now() + PATIENCE;
        while self.run.try_wait().expect("waitable").is_none() {
            assert!(Instant::now() < until, "it stays on\n{}", self.console());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends the machine, as it stands.
    fn cut(&mut self) {
        // run-image takes its QEMU along.
        let id = self.run.id().to_string();
        let _ = Command::new("sh").args(["-c", "kill -TERM \"$0\" 2>&-", &id]).status();
        let _ = self.run.wait();
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.cut();
        if std::thread::panicking() {
            eprintln!("{}\n{}", self.firmware(), self.console());
        }
    }
}

/// Whether something that speaks first does so: QEMU accepts connections for a port at which nobody
/// listens in the device.
struct TcpAnswers;

impl TcpAnswers {
    fn at(port: u16) -> bool {
        let Ok(stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return false };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
        let mut line = String::new();
        BufReader::new(stream.take(64)).read_line(&mut line).is_ok() && line.starts_with("SSH-")
    }
}

/// A disk with what only tests run beside the image, if there is one.
fn extras() -> Option<PathBuf> {
    std::env::var_os("PICKET_IMAGE_EXTRAS").map(PathBuf::from)
}

fn free_tcp_port() -> u16 {
    free_port(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
}

fn free_udp_port() -> u16 {
    free_port(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok())
}

/// A port that `is_free` now, and that the system gives to nobody who asks for any: it is taken
/// minutes later, and may be left for a while between two starts.
fn free_port(is_free: impl Fn(u16) -> bool) -> u16 {
    let given = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").expect("Linux");
    let mut given = given.split_whitespace().map(|port| port.parse::<u16>().expect("a port"));
    let given = given.next().expect("the first")..=given.next().expect("the last");
    // At random, as other tests look for one at the same time.
    let random = || RandomState::new().hash_one(()) % u64::from(u16::MAX - 10_000);
    (0..1000)
        .map(|_| 10_000 + random() as u16)
        .find(|port| !given.contains(port) && is_free(*port))
        .expect("a port outside net.ipv4.ip_local_port_range")
}

/// Runs a program that has to succeed, and returns what it printed.
#[track_caller]
fn tool(program: &str, arguments: &[&Path]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("MTOOLS_SKIP_CHECK", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    output.stdout
}
