//! An HTTP client that sends what it is told, byte by byte, and follows nothing by itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::daemon::PATIENCE;

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    /// Takes apart what came on a connection until its end.
    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default().split(' ').nth(1);
        let headers = lines.filter_map(|l| l.split_once(':'));
        Self {
            status: status.and_then(|s| s.parse().ok()).unwrap_or_default(),
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect(),
            body: body.to_owned(),
        }
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.headers.iter().filter(|(n, _)| n == name);
        lines.map(|(_, v)| v.as_str()).collect()
    }

    /// The one field of that name; empty without.
    pub fn header(&self, name: &str) -> &str {
        self.all(name).first().copied().unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// What a problem says.
    pub fn detail(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status);
        json["detail"].as_str().expect("a detail").to_owned()
    }
}

/// Sends one request and reads its answer.
pub fn ask(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request += &format!("Host: {to}\r\n");
    }
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() || matches!(method, "POST" | "PATCH") {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    Reply::parse(&raw(to, format!("{request}\r\n{body}").as_bytes()))
}

/// The path that a relative reference without dots leads to from the one that was asked for
/// (RFC 3986 §5.2.3).
pub fn resolve(asked: &str, reference: &str) -> String {
    assert!(!reference.starts_with('/') && !reference.contains(':'), "{reference} is not relative");
    let (folder, _) = asked.rsplit_once('/').expect("a path");
    format!("{folder}/{}", reference.trim_start_matches("./"))
}

pub fn get(to: SocketAddr, path: &str) -> Reply {
    ask(to, "GET", path, &[], "")
}

/// Sends bytes, and reads until the server closes.
pub fn raw(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(to);
    stream.write_all(bytes).expect("sent");
    read_to_end(&mut stream)
}

pub fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("a valid timeout");
    stream
}

/// Reads until the server closes, in whichever way.
pub fn read_to_end(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => read.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(e) => panic!("the server neither answers nor closes: {e}"),
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}
