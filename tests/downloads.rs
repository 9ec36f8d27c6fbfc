//! Pages that are downloaded: the built-in ones are served meanwhile, whatever the server does.

mod common;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use common::client::get;
use common::daemon::{Daemon, wait_for};

/// A server for one archive, a camera that wants it, and the folder it is to go to.
struct Download {
    server: TcpListener,
    folder: tempfile::TempDir,
    archive: Vec<u8>,
}

impl Download {
    fn new() -> Self {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let folder = tempfile::tempdir().expect("a folder");
        Self { server, folder, archive: archive() }
    }

    fn config(&self) -> String {
        let sum: String =
            digest(&SHA256, &self.archive).as_ref().iter().map(|b| format!("{b:02x}")).collect();
        format!(
            "[site]\ndata_location = \"{}\"\ndownload_url = \"http://{}/x\"\n\
             download_sha256 = \"{sum}\"\n",
            self.folder.path().join("site").display(),
            self.server.local_addr().expect("bound")
        )
    }

    /// The camera with its configuration file, and the request for the archive.
    fn begin(&self) -> (Daemon, TcpStream) {
        let file = self.file();
        fs::write(&file, self.config()).expect("written");
        let daemon = Daemon::spawn(command(&file));
        let (mut stream, _) = self.server.accept().expect("asked");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            assert_eq!(stream.read(&mut byte).expect("a head"), 1);
            head.push(byte[0]);
        }
        (daemon, stream)
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("config.toml")
    }
}

fn command(file: &Path) -> Command {
    Daemon::command_with(file, &[])
}

/// One page, as an owner would pack it.
fn archive() -> Vec<u8> {
    let page = b"<title>Downloaded</title>";
    let mut header = tar::Header::new_gnu();
    header.set_size(page.len() as u64);
    header.set_mode(0o644);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, "templates/index.html", &page[..]).expect("packed");
    builder.into_inner().expect("packed")
}

/// Whether the camera still waits for what this server sends: it has not given up.
fn is_waited_for(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).expect("settable");
    let read = stream.read(&mut [0]);
    stream.set_nonblocking(false).expect("settable");
    matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

fn head(archive: &[u8]) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", archive.len()).into_bytes()
}

#[test]
fn a_server_that_never_answers_or_byte_by_byte_keeps_no_page_waiting() {
    for begins in [false, true] {
        let download = Download::new();
        let (daemon, mut stream) = download.begin();
        if begins {
            stream.write_all(&[&head(&download.archive)[..], b"a"].concat()).expect("sent");
        }
        let page = get(daemon.http, "/");
        assert!(page.status == 200 && !page.body.contains("Downloaded"), "{page:?}");
        assert!(is_waited_for(&mut stream), "the page came only when the download had failed");
        let log = daemon.wait_for_log("the built-in pages are shown until");
        assert!(!log.contains("http://"), "an address may have a password in it: {log}");
    }
}

#[test]
fn a_server_that_hangs_up_is_asked_again_and_what_it_then_gives_is_shown() {
    let download = Download::new();
    let (daemon, stream) = download.begin();
    let linger = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    linger.expect("settable");
    drop(stream);
    daemon.wait_for_log("next attempt in");
    assert_eq!(get(daemon.http, "/").status, 200);
    let (mut stream, _) = download.server.accept().expect("asked again");
    let answer = [head(&download.archive), download.archive.clone()].concat();
    stream.write_all(&answer).expect("sent");
    daemon.wait_for_log("downloaded");
    wait_for("the page", || get(daemon.http, "/").body.contains("Downloaded"));
}

#[test]
fn stopping_does_not_wait_for_a_download() {
    let download = Download::new();
    let (mut daemon, mut stream) = download.begin();
    assert!(is_waited_for(&mut stream));
    daemon.signal("-TERM");
    assert!(daemon.wait().success());
    // It did not end by giving up: that would be followed by another attempt.
    download.server.set_nonblocking(true).expect("settable");
    assert!(download.server.accept().is_err(), "asked again");
}

#[test]
fn the_configuration_is_read_again_in_the_midst_of_a_download() {
    let download = Download::new();
    let (daemon, mut stream) = download.begin();
    fs::write(download.file(), download.config() + "[log]\nlevel = \"nonsense\"\n")
        .expect("written");
    daemon.signal("-HUP");
    daemon.wait_for_log("nonsense");
    assert_eq!(get(daemon.http, "/").status, 200);
    assert!(is_waited_for(&mut stream));
}
