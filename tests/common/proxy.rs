//! Reverse proxies as people put them before a camera: nginx and caddy, as Debian has them.

use std::fmt::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use super::browser::Browser;
use super::daemon::PATIENCE;

/// The name that the certificate is for.
pub const NAME: &str = "cam.example";

/// A running proxy. Ended when dropped.
pub struct Proxy {
    child: Child,
    pub port: u16,
    _folder: TempDir,
}

/// Whether a proxy ends HTTPS.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    Yes,
    No,
}

impl Proxy {
    /// nginx with these lines in its `server`.
    pub fn nginx(tls: Tls, server: &str) -> Self {
        Self::start(|folder, port| {
            let at = folder.display();
            let mut listen = format!("listen 127.0.0.1:{port};");
            if tls == Tls::Yes {
                listen = format!(
                    "listen 127.0.0.1:{port} ssl http2;
                     ssl_certificate {at}/cert.pem; ssl_certificate_key {at}/key.pem;"
                );
            }
            let mut text = format!(
                "daemon off; master_process off; pid {at}/pid; error_log stderr;
                 events {{}}
                 http {{
                     access_log off;
                     proxy_temp_path {at}/proxy;
                     client_body_temp_path {at}/body;\n"
            );
            for unused in ["fastcgi", "uwsgi", "scgi"] {
                let _ = writeln!(text, "{unused}_temp_path {at}/{unused};");
            }
            let _ = writeln!(text, "server {{ server_name {NAME}; {listen} {server} }} }}");
            let file = folder.join("nginx.conf");
            std::fs::write(&file, text).expect("written");
            let mut command = Command::new(program("nginx"));
            command.arg("-p").arg(folder).arg("-c").arg(file).args(["-e", "stderr"]);
            command
        })
    }

    /// caddy with these lines for its site.
    pub fn caddy(site: &str) -> Self {
        Self::start(|folder, port| {
            let at = folder.display();
            let text = format!(
                "{{\n admin off\n auto_https disable_redirects\n skip_install_trust\n}}
                 https://{NAME}:{port} {{
                     bind 127.0.0.1
                     tls {at}/cert.pem {at}/key.pem
                     {site}
                 }}\n"
            );
            let file = folder.join("Caddyfile");
            std::fs::write(&file, text).expect("written");
            let mut command = Command::new(program("caddy"));
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
            command.env("HOME", folder).env("XDG_DATA_HOME", folder);
            command.env("XDG_CONFIG_HOME", folder);
            command
        })
    }

    fn start(command: impl Fn(&Path, u16) -> Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        certificate(folder.path());
        // Neither tells which port it was given where it asks for any. Another program may take
        // the one found here before they do: then there is another.
        for _ in 0..5 {
            let port = free_port();
            let mut command = command(folder.path(), port);
            let mut child = command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .expect("it runs; scripts/install-test-tools unpacks it");
            if listens(&mut child, port) {
                return Self { child, port, _folder: folder };
            }
        }
        panic!("the proxy does not start");
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// An address of a page, by HTTPS.
    pub fn url(&self, path: &str) -> String {
        format!("https://{NAME}:{}{path}", self.port)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A browser that takes the certificate and knows the name.
pub fn browser() -> Browser {
    let names = format!("--host-resolver-rules=MAP {NAME} 127.0.0.1");
    Browser::with(&["--ignore-certificate-errors", &names])
}

/// Where a program is: installed, or unpacked for tests.
fn program(name: &str) -> PathBuf {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers/usr");
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), unpacked.join("sbin"), unpacked.join("bin")])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("no {name}; scripts/install-test-tools unpacks it"))
}

/// A port that is free now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn listens(child: &mut Child, port: u16) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if child.try_wait().expect("waitable").is_some() {
            return false;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("the proxy neither listens nor ends");
}

fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", &format!("/CN={NAME}")])
        .args(["-addext", &format!("subjectAltName=DNS:{NAME}")])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("openssl runs").success());
}
