//! Clients that are slow, many, or speak in riddles.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::client::{Reply, ask, connect, get, raw, read_to_end};
use common::daemon::wait_for;
use common::test_server::{TestServer, TestServerOptions};
use picket::http::axum::routing::get as serve;
use picket::http::{Access, ExtraRoutes};
use picket::testing::http::ServerLimits;
use tokio::sync::Notify;

/// So long that a test which waits for it fails.
const NEVER: Duration = Duration::from_secs(3600);

fn server(limits: ServerLimits) -> TestServer {
    TestServer::build(TestServerOptions { limits, ..TestServerOptions::default() })
}

#[test]
fn two_hundred_unfinished_requests_keep_nobody_out() {
    let server = server(ServerLimits {
        max_connections: 64,
        header_timeout: NEVER,
        body_timeout: NEVER,
        ..ServerLimits::default()
    });
    let unfinished: [&[u8]; 4] = [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n",
        b"POST /offer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n{",
    ];
    let mut held: Vec<TcpStream> = Vec::new();
    for i in 0..200 {
        let mut stream = connect(server.address);
        // The server may have closed it already.
        let _ = stream.write_all(unfinished[i % unfinished.len()]);
        held.push(stream);
    }
    let began = Instant::now();
    for _ in 0..5 {
        assert_eq!(get(server.address, "/api/v1/status").status, 200);
    }
    println!("five requests beside 200 unfinished ones: {:?}", began.elapsed());
    let closed = held.iter().filter(|s| is_closed(s)).count();
    assert!(closed >= 200 - 64, "{closed}");
}

fn is_closed(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("settable");
    match stream.read(&mut [0; 64]) {
        Ok(n) => n == 0,
        Err(e) => e.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn a_head_that_takes_too_long_ends_the_connection() {
    let server = server(ServerLimits {
        header_timeout: Duration::from_millis(100),
        ..ServerLimits::default()
    });
    assert_eq!(raw(server.address, b""), "");
    assert_eq!(raw(server.address, b"GET / HTTP/1.1\r\nHost: localhost\r\n"), "");
    // Between two requests as well; the first may be sent late by a busy machine.
    let server = self::server(ServerLimits {
        header_timeout: Duration::from_secs(2),
        ..ServerLimits::default()
    });
    let text = raw(server.address, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(Reply::parse(&text).status, 200);
}

#[test]
fn a_body_that_takes_too_long_is_told_so() {
    let server = server(ServerLimits {
        body_timeout: Duration::from_millis(100),
        ..ServerLimits::default()
    });
    let request = b"POST /offer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{";
    let reply = Reply::parse(&raw(server.address, request));
    assert_eq!((reply.status, reply.header("connection")), (408, "close"));
}

#[test]
fn a_connection_serves_so_many_requests_and_no_more() {
    let server = server(ServerLimits { max_requests: 2, ..ServerLimits::default() });
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let text = raw(server.address, request.repeat(3).as_bytes());
    assert_eq!(text.matches("HTTP/1.1 200").count(), 2, "{text}");
    assert_eq!(text.matches("connection: close").count(), 1, "{text}");
}

#[test]
fn a_client_that_waits_to_be_asked_for_the_body_is_asked() {
    let server = TestServer::new();
    let mut stream = connect(server.address);
    let head = "POST /close_connection HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\
                Expect: 100-continue\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("sent");
    let mut buffer = [0; 25];
    stream.read_exact(&mut buffer).expect("asked");
    assert_eq!(&buffer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"1").expect("sent");
    assert!(read_to_end(&mut stream).ends_with("DISABLED"));
}

#[test]
fn stopping_finishes_what_is_under_way_and_takes_nothing_new() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (begun, go_on) = (begun.clone(), go_on.clone());
        move || async move {
            begun.notify_one();
            go_on.notified().await;
            "done"
        }
    };
    let mut server = TestServer::build(TestServerOptions {
        extras: vec![ExtraRoutes::new(Access::Viewer).route("/slow", serve(handler))],
        limits: ServerLimits { shutdown_timeout: NEVER, ..ServerLimits::default() },
        ..TestServerOptions::default()
    });
    let address = server.address;
    let mut idle = connect(address);
    let slow = std::thread::spawn(move || get(address, "/slow"));
    server.runtime.block_on(begun.notified());
    let http = server.http.take().expect("running");
    let stopping = server.runtime.spawn(http.stop());
    assert_eq!(read_to_end(&mut idle), "");
    wait_for("the listener to be gone", || TcpStream::connect(address).is_err());
    go_on.notify_one();
    assert_eq!(slow.join().expect("an answer").body, "done");
    server.runtime.block_on(stopping).expect("stopped");
}

#[test]
fn stopping_does_not_wait_for_ever() {
    let begun = Arc::new(Notify::new());
    let handler = {
        let begun = begun.clone();
        move || async move {
            begun.notify_one();
            std::future::pending::<&'static str>().await
        }
    };
    let mut server = TestServer::build(TestServerOptions {
        extras: vec![ExtraRoutes::new(Access::Viewer).route("/stuck", serve(handler))],
        limits: ServerLimits {
            shutdown_timeout: Duration::from_millis(50),
            ..ServerLimits::default()
        },
        ..TestServerOptions::default()
    });
    let address = server.address;
    let stuck = std::thread::spawn(move || get(address, "/stuck"));
    server.runtime.block_on(begun.notified());
    let http = server.http.take().expect("running");
    server.runtime.block_on(http.stop());
    assert_eq!(stuck.join().expect("ended").status, 0);
}

/// A request that two readers might take for different ones gets one 400 and the end, and what
/// follows it is never read as a request of its own.
#[test]
fn requests_that_can_be_read_in_two_ways_are_refused_once() {
    let server = TestServer::new();
    let smuggled = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let post = |fields: &str, body: &str| {
        format!("POST /close_connection HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}")
    };
    let get = |head: &str| format!("GET /healthz HTTP/1.1{head}");
    let mut vectors = vec![
        post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nG"),
        post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding:\x0bchunked\r\n", "0\r\n\r\n"),
        post("Content-Length: 1\r\nContent-Length: 2\r\n", "1"),
        post("Content-Length: 1\r\nContent-Length: 1\r\n", "1"),
        post("Content-Length: 1, 1\r\n", "1"),
        post("Content-Length: +1\r\n", "1"),
        post("Content-Length: -1\r\n", "1"),
        post("Content-Length: 1_0\r\n", "1"),
        post("Content-Length: 0x1\r\n", "1"),
        post("Content-Length: 18446744073709551617\r\n", "1"),
        post("Content-Length: \r\n", "1"),
        post("Content-Length\r\n", "1"),
        get("\nHost: localhost\n\n"),
        get("\r\nHost: localhost\n\r\n"),
        get("\r\nHost: localhost\r\nX: a\r\n folded\r\n\r\n"),
        get("\r\n Host: localhost\r\n\r\n"),
        get("\r\nHost: localhost\r\nX: a\0b\r\n\r\n"),
        get("\r\nHost: localhost\r\nX\0: a\r\n\r\n"),
        get("\r\nHost: localhost\r\nX: a\rb\r\n\r\n"),
        get("\r\nHost: localhost\r\nHost: localhost\r\n\r\n"),
        get("\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"),
        get("\r\n\r\n"),
        get("\r\nHost: local host\r\n\r\n"),
        "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        "GET  /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        "GET /health z HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        "GET /healthz\0 HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        "GET /healthz HTTP/1.2x\r\nHost: localhost\r\n\r\n".into(),
        "G\u{e9}T /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        "\0GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
    ];
    for size in ["x", "-1", "0x1", "1 1", "", "ffffffffffffffffff", "1;a\nb", "+1"] {
        let body = format!("{size}\r\n1\r\n0\r\n\r\n");
        vectors.push(post("Transfer-Encoding: chunked\r\n", &body));
    }
    vectors.push(post("Transfer-Encoding: chunked\r\n", "1\n1\n0\n\n"));
    vectors.push(post("Transfer-Encoding: chunked\r\n", "1\r\n1X\r\n0\r\n\r\n"));
    for vector in &vectors {
        // Sent in one piece and cut in two, followed by what an attacker wants to be read.
        for at in [0, vector.len() / 2] {
            let mut stream = connect(server.address);
            let bytes = format!("{vector}{smuggled}");
            // The server may answer and close before all of it is sent.
            let _ = stream.write_all(&bytes.as_bytes()[..at]);
            let _ = stream.write_all(&bytes.as_bytes()[at..]);
            let text = read_to_end(&mut stream);
            assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{vector:?}: {text}");
            assert!(text.starts_with("HTTP/1.1 400 "), "{vector:?}: {text}");
        }
    }
    // A chunked body is read, and is the last thing on its connection.
    let fine = post("Transfer-Encoding: chunked\r\n", "1\r\n1\r\n0\r\n\r\n");
    let text = raw(server.address, format!("{fine}{smuggled}").as_bytes());
    assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text}");
    assert!(text.ends_with("DISABLED"), "{text}");
}

#[test]
fn heads_past_every_measure_are_refused() {
    let server = TestServer::new();
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(2_000));
    for head in [long, many] {
        let mut stream = connect(server.address);
        let _ = stream.write_all(head.as_bytes());
        let status = Reply::parse(&read_to_end(&mut stream)).status;
        assert!(matches!(status, 0 | 414 | 431), "{status}");
    }
    assert_eq!(ask(server.address, "GET", "/healthz", &[], "").status, 200);
}
