//! Debian's coturn, a real TURN server, on loopback.

use std::io::{ErrorKind, Write};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing on loopback takes this long; a server that needs it is not coming.
const DEADLINE: Duration = Duration::from_secs(30);

/// coturn, ended when dropped.
pub struct Coturn {
    child: Child,
    pub port: u16,
    ip: &'static str,
    directory: PathBuf,
}

impl Coturn {
    /// `None`: not installed, and that is all right here.
    pub fn start() -> Option<Self> {
        Self::start_at("127.0.0.1")
    }

    /// The same at another address of the machine or namespace.
    pub fn start_at(ip: &'static str) -> Option<Self> {
        // Another process may take the port between here and coturn's start.
        for _ in 0..5 {
            let port = free_port(ip);
            let directory = std::env::temp_dir();
            let directory = directory.join(format!("picket-turn-{}-{port}", std::process::id()));
            std::fs::create_dir_all(&directory).unwrap();
            let Some(child) = spawn(ip, port, &directory) else {
                std::fs::remove_dir_all(&directory).ok();
                let missing = "turnserver is not installed (apt install coturn)";
                assert!(std::env::var_os("CI").is_none(), "{missing}; CI must have it");
                eprintln!("skipped: {missing}");
                return None;
            };
            let mut server = Self { child, port, ip, directory };
            if server.is_ready() {
                return Some(server);
            }
        }
        panic!("coturn does not start");
    }

    /// Whether it answers a STUN request before it gives up its port.
    fn is_ready(&mut self) -> bool {
        let socket = UdpSocket::bind((self.ip, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let request = b"\x00\x01\x00\x00\x21\x12\xa4\x42picket-ready";
        let start = Instant::now();
        while start.elapsed() < DEADLINE && self.child.try_wait().unwrap().is_none() {
            let server = (self.ip, self.port);
            socket.send_to(request, server).unwrap();
            if socket.recv(&mut [0; 1500]).is_ok() {
                return true;
            }
        }
        false
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.ip, self.port, &self.directory).unwrap();
        assert!(self.is_ready());
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

fn free_port(ip: &str) -> u16 {
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    socket.local_addr().unwrap().port()
}

/// `None`: not installed.
fn spawn(ip: &str, port: u16, directory: &std::path::Path) -> Option<Child> {
    let path = |name: &str| directory.join(name).display().to_string();
    let mut config = std::fs::File::create(directory.join("turnserver.conf")).unwrap();
    write!(
        config,
        "listening-ip={ip}\nlistening-port={port}\nrelay-ip={ip}\n\
         lt-cred-mech\nrealm=picket.test\nuser=camera:hunter2\n\
         allow-loopback-peers\ncli-password=none-of-it\nno-cli\nno-tls\nno-dtls\nno-tcp\n\
         pidfile={}\nlog-file={}\nsimple-log\nuserdb={}\n",
        path("pid"),
        path("log"),
        path("users.db"),
    )
    .unwrap();
    let started = Command::new("turnserver")
        .arg("-c")
        .arg(directory.join("turnserver.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match started {
        Ok(child) => Some(child),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("turnserver: {error}"),
    }
}
