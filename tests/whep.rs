//! WHEP, requirement by requirement: draft-ietf-wish-whep over a real server, with real viewers.
//!
//! W27 (HTTPS) is not here: the server speaks plain HTTP, and TLS is put in front of it.

mod common;

use std::net::SocketAddr;

use common::client::{Reply, ask, get, resolve};
use common::daemon::wait_for;
use common::peer::Offered;
use common::test_server::{Source, TestServer, TestServerOptions};
use picket::config::{Auth, Credentials, Secret};
use picket::testing::http::HttpSettings;
use picket::testing::webrtc::stun_turn::IceServer;

const SDP: (&str, &str) = ("Content-Type", "application/sdp");
const FRAGMENT: (&str, &str) = ("Content-Type", "application/trickle-ice-sdpfrag");

fn post(to: SocketAddr, offer: &str) -> Reply {
    ask(to, "POST", "/whep", &[SDP], offer)
}

/// A session that was accepted.
struct Session {
    to: SocketAddr,
    offer: String,
    url: String,
    etag: String,
    answer: String,
}

impl Session {
    fn open(to: SocketAddr) -> Self {
        Self::of(to, Offered::new().sdp)
    }

    fn of(to: SocketAddr, offer: String) -> Self {
        let reply = post(to, &offer);
        assert_eq!(reply.status, 201, "{reply:?}");
        Self {
            to,
            offer,
            url: resolve("/whep", reply.header("location")),
            etag: reply.header("etag").to_owned(),
            answer: reply.body,
        }
    }

    fn patch(&self, headers: &[(&str, &str)], body: &str) -> Reply {
        ask(self.to, "PATCH", &self.url, headers, body)
    }

    /// The viewer's credentials, as lines of a fragment.
    fn credentials(&self) -> String {
        let value = |name: &str| {
            let line = self.offer.lines().find(|l| l.starts_with(name));
            line.expect("credentials").to_owned()
        };
        format!("{}\r\n{}\r\n", value("a=ice-ufrag:"), value("a=ice-pwd:"))
    }

    fn trickle(&self, candidates: &[&str]) -> Reply {
        let mut body = self.credentials();
        body += "m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n";
        for candidate in candidates {
            body += &format!("a=candidate:{candidate}\r\n");
        }
        self.patch(&[FRAGMENT, ("If-Match", &self.etag)], &body)
    }

    fn restart(&self) -> Reply {
        let body = "a=ice-ufrag:newufrag\r\na=ice-pwd:new0password0new0password\r\n";
        self.patch(&[FRAGMENT, ("If-Match", "*")], body)
    }

    fn is_open(&self) -> bool {
        get(self.to, &self.url).status == 204
    }
}

const HOST: &str = "1 1 udp 2113937151 127.0.0.1 50000 typ host";

#[test]
fn w01_get_and_head_answer_without_content() {
    let server = TestServer::new();
    let session = Session::open(server.address);
    for url in ["/whep", "/whep/main", &session.url] {
        let read = get(server.address, url);
        let head = ask(server.address, "HEAD", url, &[], "");
        assert_eq!((read.status, head.status), (204, 204), "{url}");
        assert_eq!((read.body.as_str(), head.body.as_str()), ("", ""));
        let names = |r: &Reply| r.headers.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
        assert_eq!(names(&read), names(&head));
    }
    let unknown = format!("/whep/{}", "0".repeat(32));
    for url in [unknown.as_str(), "/whep/other", "/whep/../whep", "/whep/%ff", "/whep/%00"] {
        assert_eq!(get(server.address, url).status, 404, "{url}");
    }
}

#[test]
fn w02_only_sdp_that_can_be_used_is_taken() {
    let server = TestServer::new();
    let offer = Offered::new().sdp;
    for kind in ["text/plain", "application/json", "application/sdpx", ""] {
        let reply = ask(server.address, "POST", "/whep", &[("Content-Type", kind)], &offer);
        assert_eq!(reply.status, 415, "{kind}");
        assert_eq!(reply.header("accept-post"), "application/sdp");
    }
    let parameters = [("Content-Type", "Application/SDP; charset=utf-8")];
    assert_eq!(ask(server.address, "POST", "/whep", &parameters, &offer).status, 201);
    let cut = offer.split("m=").next().expect("its session part");
    for bad in ["", "hello", "v=0\r\n", cut, "v=0\r\nnonsense\r\n"] {
        let reply = post(server.address, bad);
        assert_eq!(reply.status, 400, "{bad:?}");
        assert!(reply.detail().contains("line"), "{}", reply.detail());
    }
}

#[test]
fn w03_an_accepted_offer_is_created() {
    let server = TestServer::new();
    for path in ["/whep", "/whep/main", "/whep/0"] {
        let reply = ask(server.address, "POST", path, &[SDP], &Offered::new().sdp);
        assert_eq!(reply.status, 201);
        assert_eq!(reply.header("content-type"), "application/sdp");
        assert!(reply.body.starts_with("v=0\r\n"));
        let url = resolve(path, reply.header("location"));
        let id = url.strip_prefix("/whep/").expect("a session's path");
        assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        assert_eq!(get(server.address, &url).status, 204);
    }
    let reply = ask(server.address, "POST", "/whep/garage", &[SDP], &Offered::new().sdp);
    assert_eq!(reply.status, 404);
}

#[test]
fn w04_a_refusal_is_never_a_406_without_a_counter_offer() {
    let server = TestServer::new();
    let vp8_only = Offered::new().sdp.replace("H264/90000", "VP8/90000");
    let reply = post(server.address, &vp8_only);
    assert_eq!(reply.status, 400, "{reply:?}");
    assert!(reply.detail().contains("H264") || reply.detail().contains("H.264"));
}

#[test]
fn w05_the_answer_sends_only_and_offers_that_receive_nothing_are_refused() {
    let server = TestServer::new();
    let session = Session::open(server.address);
    assert!(session.answer.contains("\r\na=sendonly\r\n"));
    for direction in ["sendonly", "inactive"] {
        let offer = session.offer.replace("a=recvonly", &format!("a={direction}"));
        assert_ne!(offer, session.offer);
        assert_eq!(post(server.address, &offer).status, 400, "{direction}");
    }
}

#[test]
fn w06_without_a_source_there_is_a_conflict_and_a_time_to_come_back() {
    let server = TestServer::build(TestServerOptions {
        source: Source::Ended,
        ..TestServerOptions::default()
    });
    let reply = post(server.address, &Offered::new().sdp);
    assert_eq!(reply.status, 409);
    assert!(reply.header("retry-after").parse::<u32>().expect("seconds") > 0);
    // A lost one is none, where no card is shown for it.
    let lost = |infinite_frames| {
        let server = TestServer::build(TestServerOptions {
            source: Source::Lost,
            infinite_frames,
            ..TestServerOptions::default()
        });
        post(server.address, &Offered::new().sdp)
    };
    assert_eq!(lost(true).status, 201);
    let reply = lost(false);
    assert_eq!(reply.status, 409);
    assert!(reply.detail().contains("the cable is loose"), "{}", reply.detail());
    assert!(reply.header("retry-after").parse::<u32>().expect("seconds") > 0);
}

#[test]
fn w07_who_says_goodbye_over_dtls_is_gone() {
    let server = TestServer::new();
    let offered = Offered::new();
    let session = Session::of(server.address, offered.sdp.clone());
    let mut peer = offered.accept(&session.answer, None);
    peer.run_until("a picture", |seen| seen.pictures > 0);
    peer.close();
    wait_for("the session to end", || !session.is_open());
}

#[test]
fn w08_delete_ends_the_session_and_tells_the_viewer() {
    let server = TestServer::new();
    let offered = Offered::new();
    let session = Session::of(server.address, offered.sdp.clone());
    let mut peer = offered.accept(&session.answer, None);
    peer.run_until("connected", |seen| seen.connected);
    let delete = || ask(server.address, "DELETE", &session.url, &[("If-Match", "\"other\"")], "");
    assert_eq!(delete().status, 200);
    peer.run_until("goodbye", |seen| seen.closed);
    wait_for("the session to end", || !session.is_open());
    assert_eq!(delete().status, 404);
    assert_eq!(server.hub.viewers(), 0);
}

#[test]
fn w09_options_says_what_can_be_posted() {
    let server = TestServer::new();
    let reply = ask(server.address, "OPTIONS", "/whep", &[], "");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("accept-post"), "application/sdp");
    assert!(reply.header("allow").contains("POST"));
    let reply = ask(server.address, "OPTIONS", "/whep/anything", &[], "");
    assert_eq!(reply.status, 200);
    assert!(reply.header("allow").contains("PATCH") && reply.header("allow").contains("DELETE"));
}

#[test]
fn w10_a_patch_that_is_no_fragment_is_refused() {
    let server = TestServer::new();
    let session = Session::open(server.address);
    let tag = ("If-Match", session.etag.as_str());
    let reply = session.patch(&[("Content-Type", "application/sdp"), tag], "a=x\r\n");
    assert_eq!(reply.status, 415);
    assert_eq!(reply.header("accept-patch"), "application/trickle-ice-sdpfrag");
    let reply = session.patch(&[FRAGMENT, tag], "hello");
    assert_eq!(reply.status, 400);
    assert!(reply.detail().contains("line 1"), "{}", reply.detail());
    let gone =
        Session { url: format!("/whep/{}", "f".repeat(32)), ..Session::open(server.address) };
    assert_eq!(gone.trickle(&[HOST]).status, 404);
}

#[test]
fn w11_both_trickle_and_restart_are_supported() {
    let server = TestServer::new();
    let session = Session::open(server.address);
    assert_eq!(session.trickle(&[HOST]).status, 204);
    assert_eq!(session.restart().status, 200);
}

#[test]
fn w12_each_ice_session_has_a_strong_entity_tag() {
    let server = TestServer::new();
    let (one, other) = (Session::open(server.address), Session::open(server.address));
    for tag in [&one.etag, &other.etag] {
        assert!(tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    }
    assert_ne!(one.etag, other.etag);
}

#[test]
fn w13_a_patch_names_the_ice_session_it_is_for() {
    let server = TestServer::new();
    let mut session = Session::open(server.address);
    assert_eq!(session.patch(&[FRAGMENT], "a=candidate:x\r\n").status, 428);
    let credentials = session.credentials();
    let restart = "a=ice-ufrag:newufrag\r\na=ice-pwd:new0password0new0password\r\n";
    // Unchanged credentials name it as well; others ask for a restart.
    assert_eq!(session.patch(&[FRAGMENT], &credentials).status, 204);
    assert_eq!(session.patch(&[FRAGMENT], restart).status, 428);
    assert_eq!(session.patch(&[FRAGMENT, ("If-Match", "")], restart).status, 428);
    assert_eq!(session.patch(&[FRAGMENT, ("If-Match", "*")], &credentials).status, 204);
    assert_eq!(session.patch(&[FRAGMENT, ("If-Match", "*")], "a=candidate:x\r\n").status, 204);
    let tag = std::mem::replace(&mut session.etag, "\"stale\"".into());
    assert_eq!(session.trickle(&[HOST]).status, 412);
    session.etag = format!("W/{tag}");
    assert_eq!(session.trickle(&[HOST]).status, 412);
    session.etag = format!("\"stale\", {tag}");
    assert_eq!(session.trickle(&[HOST]).status, 204);
}

#[test]
fn w14_a_trickle_is_answered_with_nothing() {
    let server = TestServer::new();
    let reply = Session::open(server.address).trickle(&[HOST]);
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    assert!(reply.all("etag").is_empty());
}

#[test]
fn w15_candidates_that_cannot_be_used_are_skipped() {
    let server = TestServer::new();
    let reply = Session::open(server.address).trickle(&[
        "1 1 udp 2113937151 0b0c5b2e-7bd7-4c5f-9e0e-2a1a4a8f6d11.local 50000 typ host",
        "2 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active",
        "3 1 udp 1 2001:db8::1 50001 typ host",
        "complete nonsense",
        HOST,
    ]);
    assert_eq!(reply.status, 204);
}

#[test]
fn w16_a_restart_gives_new_credentials_and_a_new_tag() {
    let server = TestServer::new();
    let mut session = Session::open(server.address);
    let reply = session.restart();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/trickle-ice-sdpfrag");
    let lines = |text: &str, name: &str| -> Vec<String> {
        let found = text.lines().filter(|l| l.starts_with(name));
        found.map(str::to_owned).collect()
    };
    for name in ["a=ice-ufrag:", "a=ice-pwd:"] {
        let (old, new) = (lines(&session.answer, name), lines(&reply.body, name));
        assert!(!new.is_empty() && new[0] != old[0], "{name} {}", reply.body);
    }
    for name in ["a=ice-options:", "a=ice-lite", "a=ice-pacing:"] {
        let new = lines(&reply.body, name);
        assert!(new.is_empty() || new == lines(&session.answer, name), "{name}");
    }
    assert!(!lines(&reply.body, "a=candidate:").is_empty());
    let new = reply.header("etag").to_owned();
    assert!(new.starts_with('"') && new != session.etag);
    assert_eq!(session.trickle(&[HOST]).status, 412);
    session.etag = new;
    session.offer = "a=ice-ufrag:newufrag\na=ice-pwd:new0password0new0password\n".into();
    assert_eq!(session.trickle(&[HOST]).status, 204);
}

#[test]
fn w17_a_restart_that_fails_leaves_the_session_running() {
    let server = TestServer::new();
    let offered = Offered::new();
    let session = Session::of(server.address, offered.sdp.clone());
    let mut peer = offered.accept(&session.answer, None);
    peer.run_until("a picture", |seen| seen.pictures > 0);
    let bad = session.patch(&[FRAGMENT, ("If-Match", "*")], "a=ice-ufrag:onlyhalf\r\n");
    assert_eq!(bad.status, 400);
    let stale = session.patch(
        &[FRAGMENT, ("If-Match", "\"stale\"")],
        "a=ice-ufrag:newufrag\r\na=ice-pwd:new0password0new0password\r\n",
    );
    assert_eq!(stale.status, 412);
    let seen = peer.seen.pictures;
    peer.run_until("more pictures", |now| now.pictures > seen + 5);
    assert!(session.is_open());
}

#[test]
fn w18_the_answer_holds_every_candidate() {
    let server = TestServer::new();
    let answer = Session::open(server.address).answer;
    let port = server.webrtc.port().to_string();
    let hosts = answer.lines().filter(|l| l.starts_with("a=candidate:") && l.ends_with("typ host"));
    let ours: Vec<&str> = hosts.filter(|l| l.contains(&port)).collect();
    assert!(!ours.is_empty(), "{answer}");
    assert!(answer.contains("\r\na=end-of-candidates\r\n"));
}

#[test]
fn w19_everything_goes_over_one_transport() {
    let server = TestServer::new();
    let answer = Session::open(server.address).answer;
    assert!(answer.contains("\r\na=group:BUNDLE "));
    for section in answer.split("\r\nm=").skip(1) {
        assert!(section.contains("\r\na=rtcp-mux\r\n"), "{section}");
        assert!(section.contains("\r\na=rtcp-mux-only\r\n"), "{section}");
    }
}

#[test]
fn w20_there_is_one_stream_with_one_video() {
    let server = TestServer::new();
    let answer = Session::open(server.address).answer;
    assert_eq!(answer.matches("\r\nm=video ").count(), 1);
    assert_eq!(answer.matches("\r\nm=").count(), 1);
    assert_eq!(answer.matches("\r\na=msid:").count(), 1);
}

#[test]
fn w21_ice_is_full() {
    let server = TestServer::new();
    assert!(!Session::open(server.address).answer.contains("ice-lite"));
}

#[test]
fn w22_nothing_is_redirected() {
    let server = TestServer::new();
    for path in ["/whep", "/whep/", "/whep/main", "/whep/main/", "//whep"] {
        let reply = ask(server.address, "POST", path, &[SDP], &Offered::new().sdp);
        assert!(matches!(reply.status, 201 | 404), "{path} {}", reply.status);
    }
}

#[test]
fn w23_one_viewer_too_many_is_told_when_to_come_back() {
    let server =
        TestServer::build(TestServerOptions { max_viewers: 1, ..TestServerOptions::default() });
    let offered = Offered::new();
    let session = Session::of(server.address, offered.sdp.clone());
    let mut peer = offered.accept(&session.answer, None);
    peer.run_until("a picture", |seen| seen.pictures > 0);
    let reply = post(server.address, &Offered::new().sdp);
    assert_eq!(reply.status, 503);
    assert!(reply.header("retry-after").parse::<u32>().expect("seconds") > 0);
    assert!(reply.detail().contains("somebody is watching already"));
}

#[test]
fn w24_ice_servers_are_linked() {
    let server = TestServer::build(TestServerOptions {
        settings: HttpSettings {
            ice_servers: vec![
                IceServer {
                    urls: vec!["stun:stun.example.net".into()],
                    username: None,
                    credential: None,
                },
                IceServer {
                    urls: vec![
                        "turn:turn.example.net?transport=udp".into(),
                        "turn:turn.example.net?transport=tcp".into(),
                    ],
                    username: Some("user".into()),
                    credential: Some("pass\"word".into()),
                },
            ]
            .into(),
            ..HttpSettings::default()
        },
        ..TestServerOptions::default()
    });
    let reply = post(server.address, &Offered::new().sdp);
    let turn = "; rel=\"ice-server\"; username=\"user\"; credential=\"pass\\\"word\"; \
                credential-type=\"password\"";
    assert_eq!(
        reply.all("link"),
        [
            "<stun:stun.example.net>; rel=\"ice-server\"".to_owned(),
            format!("<turn:turn.example.net?transport=udp>{turn}"),
            format!("<turn:turn.example.net?transport=tcp>{turn}"),
        ]
    );
}

#[test]
fn w24b_options_tell_the_ice_servers_to_who_may_watch() {
    let token = "zQ7-token-0123456789";
    let servers = vec![IceServer {
        urls: vec!["turn:turn.example.net".into()],
        username: Some("user".into()),
        credential: Some("canary-4711".into()),
    }];
    let server = TestServer::build(TestServerOptions {
        settings: HttpSettings { ice_servers: servers.into(), ..HttpSettings::default() },
        auth: Auth::Set(Credentials { password: None, tokens: vec![Secret::new(token)] }),
        ..TestServerOptions::default()
    });
    let bearer = ("Authorization", &*format!("Bearer {token}"));
    for path in ["/whep", "/whep/main", "/whep/0"] {
        let reply = ask(server.address, "OPTIONS", path, &[bearer], "");
        assert_eq!(reply.status, 200);
        assert!(reply.header("link").contains("canary-4711"), "{reply:?}");
        let stranger = ask(server.address, "OPTIONS", path, &[], "");
        assert_eq!(stranger.status, 200);
        assert!(stranger.all("link").is_empty(), "{stranger:?}");
        assert_eq!(stranger.header("accept-post"), "application/sdp");
    }
}

#[test]
fn w25_a_bearer_token_lets_one_watch() {
    let token = "zQ7-token-0123456789";
    let server = TestServer::build(TestServerOptions {
        auth: Auth::Set(Credentials { password: None, tokens: vec![Secret::new(token)] }),
        ..TestServerOptions::default()
    });
    let offer = Offered::new().sdp;
    let reply = post(server.address, &offer);
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, "Bearer"));
    for wrong in ["Bearer zQ7-token-0123456788", "Bearer", "Basic enE3", "Bearer "] {
        let headers = [SDP, ("Authorization", wrong)];
        assert_eq!(ask(server.address, "POST", "/whep", &headers, &offer).status, 401, "{wrong}");
    }
    let bearer = ("Authorization", &*format!("Bearer {token}"));
    let reply = ask(server.address, "POST", "/whep", &[SDP, bearer], &offer);
    assert_eq!(reply.status, 201);
    let url = resolve("/whep", reply.header("location"));
    assert_eq!(ask(server.address, "DELETE", &url, &[], "").status, 401);
    assert_eq!(ask(server.address, "DELETE", &url, &[bearer], "").status, 200);
    assert_eq!(ask(server.address, "OPTIONS", "/whep", &[], "").status, 200);
}

#[test]
fn w25b_who_holds_a_session_may_trickle_without_the_token_and_do_nothing_else() {
    let token = "zQ7-token-0123456789";
    let server = TestServer::build(TestServerOptions {
        auth: Auth::Set(Credentials { password: None, tokens: vec![Secret::new(token)] }),
        ..TestServerOptions::default()
    });
    let bearer = ("Authorization", &*format!("Bearer {token}"));
    let offer = Offered::new().sdp;
    let reply = ask(server.address, "POST", "/whep", &[SDP, bearer], &offer);
    let session = Session {
        to: server.address,
        offer,
        url: resolve("/whep", reply.header("location")),
        etag: reply.header("etag").to_owned(),
        answer: reply.body,
    };
    assert_eq!(session.trickle(&[HOST]).status, 204);
    let any = ("If-Match", "*");
    let own = session.credentials();
    assert_eq!(session.patch(&[FRAGMENT, any], &own).status, 204);
    assert_eq!(session.restart().status, 401);
    for (headers, body) in [
        (vec![FRAGMENT, any], "a=candidate:x\r\n"),
        (vec![FRAGMENT, any], "hello"),
        (vec![FRAGMENT, any], ""),
        (vec![SDP, any], own.as_str()),
        (vec![], ""),
    ] {
        let reply = session.patch(&headers, body);
        assert_eq!((reply.status, reply.header("www-authenticate")), (401, "Bearer"), "{body}");
    }
    let other = Session { url: format!("/whep/{}", "f".repeat(32)), ..session };
    assert_eq!(other.patch(&[FRAGMENT, any], &own).status, 401);
}

#[test]
fn w26_unknown_extensions_are_ignored() {
    let server = TestServer::new();
    let headers = [SDP, ("Link", "<x>; rel=\"urn:ietf:params:whep:ext:example\""), ("X-What", "?")];
    let offer = Offered::new().sdp.replacen("\r\nm=", "\r\na=x-unknown:1\r\nm=", 1);
    assert_eq!(ask(server.address, "POST", "/whep?x=y", &headers, &offer).status, 201);
}

#[test]
fn w28_errors_are_general_ones_that_say_what_is_wrong() {
    let server = TestServer::new();
    for (method, path, headers, status) in [
        ("POST", "/whep", &[SDP][..], 400),
        ("POST", "/whep", &[][..], 415),
        ("PUT", "/whep", &[][..], 405),
        ("DELETE", "/whep/x", &[][..], 404),
        ("PATCH", "/whep/x", &[FRAGMENT][..], 404),
    ] {
        let reply = ask(server.address, method, path, headers, "");
        assert_eq!(reply.status, status, "{method} {path}");
        assert!(!reply.detail().is_empty());
    }
}
