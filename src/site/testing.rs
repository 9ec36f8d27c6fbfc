//! What this room's tests share: archives made by hand and a server that misbehaves on demand.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use tar::{EntryType, Header};

/// One entry of a tar, its name written into the header as it is: `tar::Builder` would refuse
/// the hostile ones.
pub(crate) fn tar_entry(name: &str, kind: EntryType, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_old();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut entry = header.as_bytes().to_vec();
    entry.extend_from_slice(content);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

/// A whole tar of regular files.
pub(crate) fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive: Vec<u8> = files
        .iter()
        .flat_map(|(name, content)| tar_entry(name, EntryType::Regular, content.as_bytes()))
        .collect();
    archive.extend_from_slice(&[0; 1024]);
    archive
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What the server does with one connection.
pub(crate) enum Reply {
    /// Answers with these bytes and closes.
    Raw(Vec<u8>),
    /// Sends these bytes and then keeps the connection open without a word.
    Stall(Vec<u8>),
}

impl Reply {
    pub(crate) fn ok(body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        Self::Raw([head.as_bytes(), body].concat())
    }

    pub(crate) fn status(line: &str) -> Self {
        Self::Raw(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes())
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::Raw(
            format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
                .into_bytes(),
        )
    }
}

/// A server on the loopback that gives each connection the next reply, the last one from then on.
pub(crate) struct Server {
    url: String,
    served: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/site.tar.gz", listener.local_addr().unwrap());
        let served = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let (count, stopped) = (served.clone(), stop.clone());
        let thread = thread::spawn(move || {
            let (keep, kept) = mpsc::channel();
            for connection in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let index = count.fetch_add(1, Ordering::SeqCst);
                let reply = &replies[index.min(replies.len() - 1)];
                if let Some(open) = connection.ok().and_then(|c| answer(c, reply)) {
                    keep.send(open).unwrap();
                }
            }
            drop(kept);
        });
        Self { url, served, stop, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// How many connections have been answered.
    pub(crate) fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let address = self.url.trim_start_matches("http://").trim_end_matches("/site.tar.gz");
        drop(TcpStream::connect(address));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Reads a request's head and replies; gives a connection back that is to stay open.
fn answer(mut connection: TcpStream, reply: &Reply) -> Option<TcpStream> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && connection.read(&mut byte).ok()? == 1 {
        head.push(byte[0]);
        // A TLS greeting has no end of this kind; it is answered as soon as it is seen.
        if head[0] == 0x16 {
            break;
        }
    }
    match reply {
        Reply::Raw(bytes) => {
            // The client may have seen enough and gone.
            connection.write_all(bytes).ok()?;
            None
        }
        Reply::Stall(bytes) => {
            connection.write_all(bytes).ok()?;
            Some(connection)
        }
    }
}
