//! A client that speaks TLS and believes in one certificate authority.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use super::client::{Reply, ask};
use super::daemon::{Daemon, PATIENCE};
use super::network::{Network, TOKEN};

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// A daemon that serves HTTPS and keeps its keys in `folder`.
pub fn daemon_in(folder: &Path) -> Daemon {
    Daemon::start(&["http.tls=auto", &format!("site.data_location={}", folder.display())])
}

/// A daemon with HTTPS in a network, for viewers of others.
pub fn daemon_at(network: &Network, folder: &Path, settings: &[&str]) -> Daemon {
    let mut command = Network::command(&network.camera);
    let location = format!("site.data_location={}", folder.display());
    let token = format!("auth.tokens=[\"{TOKEN}\"]");
    let always = ["http.tls=auto", &location, &token];
    for setting in always.iter().chain(settings) {
        command.args(["--set", setting]);
    }
    Daemon::spawn(command)
}

/// The port of HTTPS, told to who has a token.
pub fn https_port(daemon: &Daemon, host: &str) -> u16 {
    let to = format!("{host}:{}", daemon.http.port()).parse().unwrap();
    let token = format!("Bearer {TOKEN}");
    let status = ask(to, "GET", "/api/v1/status", &[("authorization", &token)], "");
    u16::try_from(status.json()["https"]["port"].as_u64().expect("HTTPS")).unwrap()
}

/// Where the daemon serves HTTPS, as its status says.
pub fn https_address(daemon: &Daemon) -> SocketAddr {
    let port = daemon.get_json("/api/v1/status")["https"]["port"].as_u64().expect("HTTPS");
    SocketAddr::new(daemon.http.ip(), u16::try_from(port).expect("a port"))
}

/// The certificate that browsers are told to trust, DER, as it is downloaded.
pub fn root_of(daemon: &Daemon) -> Vec<u8> {
    root_at(daemon.http)
}

/// The same of whoever serves HTTP there.
pub fn root_at(http: SocketAddr) -> Vec<u8> {
    let url = format!("http://{http}/secure/root.crt");
    let mut reply = ureq::get(&url).call().expect("the certificate");
    assert_eq!(reply.headers()["content-type"], "application/x-x509-ca-cert");
    reply.body_mut().read_to_vec().expect("bytes")
}

/// Connects to the server of that name, whose certificate `root` must have issued.
pub fn connect(to: SocketAddr, name: &str, root: &[u8]) -> Result<TlsStream, String> {
    connect_with(to, name, root, rustls::DEFAULT_VERSIONS)
}

/// The same by certain versions of TLS.
pub fn connect_with(
    to: SocketAddr,
    name: &str,
    root: &[u8],
    versions: &[&'static SupportedProtocolVersion],
) -> Result<TlsStream, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(root.to_vec())).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let socket = TcpStream::connect(to).map_err(|error| error.to_string())?;
    socket.set_read_timeout(Some(PATIENCE)).expect("a valid timeout");
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).map_err(|error| error.to_string())?;
    }
    Ok(stream)
}

/// A certificate's SHA-256 fingerprint, as browsers show it.
pub fn fingerprint(der: &[u8]) -> String {
    let digest = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, der);
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// The certificate that the server has shown.
pub fn shown_certificate(stream: &TlsStream) -> Vec<u8> {
    stream.conn.peer_certificates().expect("a certificate")[0].to_vec()
}

/// Asks for a page by HTTPS, and reads the answer to the end of the connection.
pub fn get(stream: &mut TlsStream, host: &str, path: &str) -> Reply {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut text = Vec::new();
    // That the end of the connection is said too, TLS itself sees to.
    stream.read_to_end(&mut text).expect("an answer, and its end");
    Reply::parse(&String::from_utf8_lossy(&text))
}

/// Writes a certificate or a key as text (RFC 7468).
pub fn write_pem(file: &Path, label: &str, der: &[u8]) {
    use base64ct::{Base64, Encoding};
    let text = Base64::encode_string(der);
    let lines: Vec<_> =
        text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
    let text = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"));
    std::fs::write(file, text).expect("written");
}
