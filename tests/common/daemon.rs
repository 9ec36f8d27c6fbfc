//! The daemon as a user starts it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::device;

/// Long enough for a loaded machine; nothing is expected to take it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The same for a test whose daemon may run in an emulated machine, beside which it then is.
pub fn patience() -> Duration {
    match std::env::var_os("PICKET_GUEST_URL") {
        Some(_) => device::PATIENCE,
        None => PATIENCE,
    }
}

/// A figure of the page for Prometheus, by its whole name; of those of cameras, the main one's.
pub fn metric(metrics: &str, name: &str) -> f64 {
    let of_camera = format!("{name}{{camera=\"main\"}}");
    let names = [name, &of_camera];
    let line = metrics.lines().find(|l| l.split(' ').next().is_some_and(|n| names.contains(&n)));
    line.and_then(|l| l.split(' ').nth(1)?.parse().ok())
        .unwrap_or_else(|| panic!("{name}:\n{metrics}"))
}

/// A running `picket`. Killed when dropped.
pub struct Daemon {
    child: Child,
    pub http: SocketAddr,
    /// Shown to the daemon by peers, where it wants to see one.
    pub token: Option<String>,
    log: Mutex<Receiver<String>>,
}

impl Daemon {
    /// Starts the daemon on free ports, with `settings` as `--set` options.
    pub fn start(settings: &[&str]) -> Self {
        Self::spawn(Self::command(settings))
    }

    /// The command line of [`Daemon::start`], to be added to.
    pub fn command(settings: &[&str]) -> Command {
        Self::command_with(Path::new("/dev/null"), settings)
    }

    /// The same with a configuration file.
    pub fn command_with(config: &Path, settings: &[&str]) -> Command {
        // Where tests run in another machine than they were built in, so does the daemon.
        let picket = std::env::var_os("PICKET_BIN");
        let mut command =
            Command::new(picket.unwrap_or_else(|| env!("CARGO_BIN_EXE_picket").into()));
        command.arg("--config").arg(config).args(["--log", "debug"]);
        for setting in ["http.listen=127.0.0.1:0", "webrtc.udp_port=0"].iter().chain(settings) {
            command.args(["--set", setting]);
        }
        command
    }

    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon starts");
        let (lines, log) = channel();
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("    picket: {line}");
                let _ = lines.send(line);
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        let http = loop {
            line.clear();
            let read = stdout.read_line(&mut line).expect("readable");
            assert!(read > 0, "the daemon ended before it printed its address");
            if let Some(at) = line.find("http://") {
                let address = line[at + 7..].trim_end().trim_end_matches('/');
                // The first may be a name, under which a daemon is found that listens everywhere.
                let named = |(_, port): (&str, &str)| {
                    Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?)))
                };
                let address = address.parse().ok().or(address.rsplit_once(':').and_then(named));
                break address.expect("an address with a port");
            }
        };
        // Keep the pipe open, or the daemon's next line would end it.
        std::thread::spawn(move || for _ in stdout.lines().map_while(Result::ok) {});
        Self { child, http, token: None, log: Mutex::new(log) }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of the log that contains `text`.
    pub fn wait_for_log(&self, text: &str) -> String {
        self.log_until(text).pop().expect("at least that line")
    }

    /// What the log goes on with, up to a line that contains `text`.
    pub fn log_until(&self, text: &str) -> Vec<String> {
        let until = Instant::now() + patience();
        let mut lines = Vec::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.log.lock().expect("whole").recv_timeout(left) {
                Ok(line) => lines.push(line),
                Err(_) => panic!("the daemon never said {text:?}"),
            }
            if lines.last().is_some_and(|line| line.contains(text)) {
                return lines;
            }
        }
    }

    /// The lines of the log that nobody has waited for.
    pub fn logged_so_far(&self) -> Vec<String> {
        self.log.lock().expect("whole").try_iter().collect()
    }

    pub fn get_json(&self, path: &str) -> Value {
        let mut response = ureq::get(&self.url(path)).call().expect("an answer");
        response.body_mut().read_json().expect("JSON")
    }

    /// The page for Prometheus.
    pub fn metrics(&self) -> String {
        self.metrics_at(self.http)
    }

    /// The same, asked for at another of its addresses.
    pub fn metrics_at(&self, address: SocketAddr) -> String {
        let mut request = ureq::get(&format!("http://{address}/metrics"));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().expect("an answer");
        response.body_mut().read_to_string().expect("text")
    }

    /// Sessions in the state "connected".
    pub fn connected(&self) -> usize {
        let sessions = self.get_json("/api/v1/sessions");
        let sessions = sessions.as_array().expect("a list");
        sessions.iter().filter(|s| s["connectionState"] == "connected").count()
    }

    /// Waits until `done` is true of the sessions the daemon reports.
    pub fn wait_for_sessions(&self, what: &str, done: impl Fn(&[Value]) -> bool) {
        wait_for(what, || done(self.get_json("/api/v1/sessions").as_array().expect("a list")));
    }

    pub fn signal(&self, signal: &str) {
        // The shell's own `kill`: small systems have no other.
        let status = Command::new("sh")
            .args(["-c", "kill \"$0\" \"$1\"", signal, &self.pid().to_string()])
            .status()
            .expect("sh runs");
        assert!(status.success());
    }

    /// Waits for the daemon to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + patience();
        loop {
            if let Some(status) = self.child.try_wait().expect("waitable") {
                return status;
            }
            assert!(Instant::now() < until, "the daemon did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A figure from `/proc/PID/status`, in kilobytes or a count.
    pub fn proc_status(&self, key: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("alive");
        let line = text.lines().find(|l| l.starts_with(key)).expect("a known key");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
    }

    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("alive").count()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `done`, looking every few milliseconds.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + patience();
    while !done() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
