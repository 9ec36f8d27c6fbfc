//! A certificate authority that speaks ACME: Pebble, that of Let's Encrypt for tests; and DNS servers
//! for it to look at.
//!
//! Without them, which only a person's machine may be, tests say so and pass.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use super::daemon::wait_for;
use super::tls::write_pem;

/// A program that ends with the test.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `None`: not installed, and that is all right here.
fn run(command: &mut Command) -> Option<Running> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(child) => Some(Running(child)),
        Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
            eprintln!("skipped: {name} is not installed; scripts/install-test-tools installs it");
            None
        }
        Err(error) => panic!("{name}: {error}; scripts/install-test-tools installs it"),
    }
}

/// A port that is free, by TCP and UDP.
pub fn free_port() -> u16 {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = udp.local_addr().expect("bound").port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn wait_for_port(port: u16) {
    wait_for("a server to listen", || TcpStream::connect(("127.0.0.1", port)).is_ok());
}

/// How Pebble is to be.
#[derive(Clone, Copy)]
pub struct Rules {
    /// How long its certificates are valid, in seconds.
    pub validity: u32,
    /// Of a hundred requests, how many it refuses with "badNonce".
    pub bad_nonces: u32,
}

/// Where a Pebble is, or will be.
pub struct Pebble {
    folder: TempDir,
    port: u16,
    management: u16,
    running: Option<Running>,
}

impl Pebble {
    /// One that is not there yet.
    pub fn absent() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        // Of another name than what it issues, or that is taken for its own issuer.
        params.distinguished_name.push(DnType::CommonName, "root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, key).expect("a root");
        write_pem(&folder.path().join("root.pem"), "CERTIFICATE", root.der());
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]);
        let certificate = params.expect("names").signed_by(&key, &root).expect("a certificate");
        write_pem(&folder.path().join("cert.pem"), "CERTIFICATE", certificate.der());
        write_pem(&folder.path().join("key.pem"), "PRIVATE KEY", key.serialized_der());
        Self { folder, port: free_port(), management: free_port(), running: None }
    }

    /// Starts it, looking at this DNS server. False: not installed.
    pub fn start(&mut self, dns: u16, rules: Rules) -> bool {
        let path = |name: &str| self.folder.path().join(name);
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.port),
            "managementListenAddress": format!("127.0.0.1:{}", self.management),
            "certificate": path("cert.pem"),
            "privateKey": path("key.pem"),
            "httpPort": 5002,
            "tlsPort": 5001,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": rules.validity,
        }});
        std::fs::write(path("config.json"), config.to_string()).expect("written");
        let mut command = Command::new("pebble");
        command
            .arg("-config")
            .arg(path("config.json"))
            .args(["-strict", "-dnsserver", &format!("127.0.0.1:{dns}")])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", rules.bad_nonces.to_string());
        self.running = run(&mut command);
        if self.running.is_some() {
            wait_for_port(self.port);
            wait_for_port(self.management);
        }
        self.running.is_some()
    }

    pub fn stop(&mut self) {
        self.running = None;
    }

    pub fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }

    /// What it is itself trusted by.
    pub fn root_file(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// The root of what it issues, DER: another one after each start.
    pub fn issuing_root(&self) -> Vec<u8> {
        let out = Command::new("curl")
            .args(["--silent", "--fail", "--cacert"])
            .arg(self.root_file())
            .arg(format!("https://127.0.0.1:{}/roots/0", self.management))
            .output()
            .expect("curl runs");
        assert!(out.status.success(), "{out:?}");
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject;
        CertificateDer::from_pem_slice(&out.stdout).expect("a certificate").to_vec()
    }
}

/// A DNS server that answers what a hook has told it.
pub struct ChallengeServer {
    _running: Running,
    pub port: u16,
    management: u16,
}

impl ChallengeServer {
    /// `None`: not installed.
    pub fn start() -> Option<Self> {
        let (port, management) = (free_port(), free_port());
        let mut command = Command::new("pebble-challtestsrv");
        command
            .args(["-management", &format!("127.0.0.1:{management}")])
            .args(["-dns01", &format!("127.0.0.1:{port}")])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
        let running = run(&mut command)?;
        wait_for_port(management);
        Some(Self { _running: running, port, management })
    }

    /// A program that tells it, as an owner would write one for their DNS.
    pub fn hook(&self, folder: &Path) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let hook = folder.join("hook");
        let text = format!(
            "#!/bin/sh\nset -eu\ncase $1 in add) what=set-txt ;; remove) what=clear-txt ;; esac\n\
             echo \"$1 $2\" >> {}\n\
             exec curl --silent --fail --data \"{{\\\"host\\\": \\\"$2\\\", \\\"value\\\": \\\"$3\\\"}}\" \\\n    \
             http://127.0.0.1:{}/$what\n",
            folder.join("hook.log").display(),
            self.management
        );
        std::fs::write(&hook, text).expect("written");
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("set");
        hook
    }
}

/// BIND, with the zone `example.org`, which the key may change.
pub struct Bind {
    _running: Running,
    _folder: TempDir,
    pub port: u16,
}

impl Bind {
    pub const KEY: &'static str = "hmac-sha256:cam.:c2l4dGVlbiBieXRlcyBvciBtb3JlIQ==";

    /// `None`: not installed.
    pub fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let at = folder.path().display();
        let secret = Self::KEY.rsplit(':').next().expect("a secret");
        let config = format!(
            "options {{ directory \"{at}\"; pid-file \"{at}/pid\"; session-keyfile \"{at}/session\";
                 listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
                 recursion no; dnssec-validation no; }};
             controls {{}};
             key \"cam.\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};
             zone \"example.org\" {{ type primary; file \"{at}/zone\";
                 update-policy {{ grant cam. zonesub TXT; }}; }};\n"
        );
        let zone = "$TTL 60\n@ IN SOA ns.example.org. owner.example.org. 1 60 60 60 60\n\
                    @ IN NS ns.example.org.\nns IN A 127.0.0.1\ncam IN A 127.0.0.1\n";
        std::fs::write(folder.path().join("named.conf"), config).expect("written");
        std::fs::write(folder.path().join("zone"), zone).expect("written");
        let mut command = Command::new("named");
        command.arg("-f").arg("-c").arg(folder.path().join("named.conf"));
        let running = run(&mut command)?;
        wait_for_port(port);
        Some(Self { _running: running, _folder: folder, port })
    }
}
