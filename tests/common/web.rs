//! A web server of the test's own, for what the daemon fetches by itself.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What is at an address.
#[derive(Clone)]
pub enum Page {
    Bytes(Vec<u8>),
    Status(u16),
}

impl Page {
    /// The same with one text in place of another.
    pub fn with(&self, old: &str, new: &str) -> Self {
        match self {
            Self::Bytes(bytes) => {
                let text = String::from_utf8(bytes.clone()).expect("text");
                Self::Bytes(text.replace(old, new).into_bytes())
            }
            Self::Status(status) => Self::Status(*status),
        }
    }
}

type Pages = Arc<Mutex<BTreeMap<String, Page>>>;

/// A running server, for as long as the test's program.
pub struct Web {
    address: SocketAddr,
    pages: Pages,
}

impl Web {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let pages = Pages::default();
        let served = pages.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Who hangs up in the middle is no reason to fail here.
                let _ = answer(stream, &served);
            }
        });
        Self { address, pages }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn serve(&self, path: &str, page: Page) {
        self.pages.lock().expect("whole").insert(path.to_owned(), page);
    }
}

fn answer(stream: TcpStream, pages: &Pages) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or_default();
    let page = pages.lock().expect("whole").get(path).cloned().unwrap_or(Page::Status(404));
    let (status, body) = match page {
        Page::Bytes(bytes) => (200, bytes),
        Page::Status(status) => (status, Vec::new()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    (&stream).write_all(head.as_bytes())?;
    (&stream).write_all(&body)
}
