//! Viewers whose network lets no UDP through connect by TCP, at the same port number (RFC 6544).

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::daemon::{Daemon, wait_for};
use common::peer::Offered;

const SETTINGS: [&str; 3] = ["camera.width=640", "camera.height=360", "webrtc.tcp=true"];

/// Where the answer says that viewers may connect.
fn port(answer: &str) -> SocketAddr {
    let line = answer.lines().find(|l| l.contains(" tcp ") && l.contains(" 127.0.0.1 "));
    let line = line.unwrap_or_else(|| panic!("no TCP candidate:\n{answer}"));
    assert!(line.ends_with("typ host tcptype passive"), "{line}");
    let words: Vec<&str> = line.split(' ').collect();
    format!("{}:{}", words[4], words[5]).parse().expect("an address")
}

fn send(stream: &mut TcpStream, datagram: &[u8]) {
    let mut bytes = (datagram.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(datagram);
    stream.write_all(&bytes).expect("sent");
}

#[test]
fn a_viewer_who_comes_by_tcp_sees_the_picture_and_its_goodbye_is_heard() {
    let daemon = Daemon::start(&SETTINGS);
    let mut peer = Offered::by_tcp().send(&daemon);
    peer.run_until("pictures", |seen| seen.pictures >= 60 && seen.key_frames >= 1);
    assert_eq!(peer.seen.expected(), peer.seen.log.len() as u64, "nothing is lost");
    let session = daemon.get_json(&format!("/api/v1/sessions/{}", peer.session));
    assert_eq!(session["transport"]["protocol"], "tcp");
    peer.close();
    daemon.wait_for_sessions("nobody", <[serde_json::Value]>::is_empty);
}

#[test]
fn a_viewer_by_tcp_and_one_by_udp_see_the_same() {
    let daemon = Daemon::start(&SETTINGS);
    let mut by_tcp = Offered::by_tcp().send(&daemon);
    let mut by_udp = Offered::new().send(&daemon);
    for peer in [&mut by_tcp, &mut by_udp] {
        peer.run_until("a picture", |seen| seen.first_key.is_some());
    }
    let session = daemon.get_json(&format!("/api/v1/sessions/{}", by_udp.session));
    assert_eq!(session["transport"]["protocol"], "udp");
    assert_eq!(by_tcp.seen.sps, by_udp.seen.sps);
}

#[test]
fn what_is_no_viewer_is_not_listened_to_for_long() {
    let daemon = Daemon::start(&SETTINGS);
    let offered = Offered::new();
    let answer = common::peer::post_offer(&daemon, &offered.sdp);
    let address = port(answer["sdp"].as_str().expect("an answer"));
    // One says what is no datagram, and one what no session understands, one nothing at all.
    let mut loud = TcpStream::connect(address).expect("it listens");
    loud.write_all(&[0xff; 100]).expect("sent");
    let mut odd = TcpStream::connect(address).expect("it listens");
    send(&mut odd, b"hello");
    send(&mut odd, b"");
    let mut mute = TcpStream::connect(address).expect("it listens");
    for stream in [&mut loud, &mut odd, &mut mute] {
        stream.set_read_timeout(Some(common::daemon::PATIENCE)).expect("a timeout");
        // Closed, with or without a reset.
        let said = stream.read(&mut [0; 1]);
        assert!(
            matches!(said, Ok(0))
                || said.is_err_and(|e| e.kind() != std::io::ErrorKind::WouldBlock)
        );
    }
}

#[test]
fn one_address_does_not_take_all_connections() {
    let daemon = Daemon::start(&SETTINGS);
    let answer = common::peer::post_offer(&daemon, &Offered::new().sdp);
    let address = port(answer["sdp"].as_str().expect("an answer"));
    let mut flood: Vec<TcpStream> =
        (0..64).map(|_| TcpStream::connect(address).expect("the system takes it")).collect();
    // For each above the bound, the one that has said nothing for longest is closed.
    let closed = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
        matches!(stream.read(&mut [0; 1]), Ok(0))
    };
    let (first, last) = flood.split_at_mut(32);
    wait_for("connections to be closed", || first.iter_mut().all(closed));
    // Those that are left have ten seconds to say who they are.
    assert!(!last.last_mut().is_some_and(closed), "room is for who comes now");
}

#[test]
fn without_the_setting_nobody_is_told_to_come_by_tcp() {
    let daemon = Daemon::start(&SETTINGS[..2]);
    let answer = common::peer::post_offer(&daemon, &Offered::new().sdp);
    assert!(!answer["sdp"].as_str().expect("an answer").contains(" tcp "));
}
