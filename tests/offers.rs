//! Offers of real viewers (`tests/offers/`): what Picket makes of each, what it answers, and that
//! no damage to them does any.

mod common;

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::Path;

use common::client::{ask, resolve};
use common::daemon::Daemon;
use common::peer::{Offered, Peer};
use common::sdp::{Description, lint};
use picket::media::h264::{ProfileLevel, SpsInfo};
use picket::testing::webrtc::sdp::{Direction, Offer};

/// What Picket's own encoder makes of 720p30: constrained baseline, level 3.1.
const STREAM: &str = "42c01f";

/// What becomes of an offer.
enum Expected {
    Accepted {
        /// Payload type, and that of retransmissions.
        payload: (u8, Option<u8>),
        /// What the answer will say for [`STREAM`].
        profile_level: &'static str,
        /// Numbers of the extensions for sending time and playout delay.
        extensions: (Option<u8>, Option<u8>),
        /// Kinds of all m-sections, in order.
        sections: &'static [&'static str],
        /// Candidates that are taken: UDP, component 1, no `.local` names.
        candidates: usize,
    },
    Refused {
        /// A part of the reason.
        because: &'static str,
    },
}

use Expected::{Accepted, Refused};

const VIDEO: &[&str] = &["video"];

const EXPECTED: [(&str, Expected); 13] = [
    (
        "aiortc-1.16.0",
        Accepted {
            payload: (101, Some(102)),
            profile_level: "42e01f",
            extensions: (Some(3), None),
            sections: VIDEO,
            candidates: 2,
        },
    ),
    (
        "chromium-156",
        Accepted {
            payload: (108, Some(109)),
            profile_level: "42e01f",
            extensions: (Some(2), Some(5)),
            sections: VIDEO,
            candidates: 0,
        },
    ),
    (
        "chromium-156-audio-and-video",
        Accepted {
            payload: (108, Some(109)),
            profile_level: "42e01f",
            extensions: (Some(2), Some(5)),
            sections: &["audio", "video"],
            candidates: 0,
        },
    ),
    (
        "chromium-156-with-data-channel",
        Accepted {
            payload: (108, Some(109)),
            profile_level: "42e01f",
            extensions: (Some(2), Some(5)),
            sections: &["video", "application"],
            candidates: 0,
        },
    ),
    (
        "firefox-128-reconstructed",
        Accepted {
            payload: (126, Some(127)),
            profile_level: "42e01f",
            extensions: (Some(4), Some(6)),
            sections: VIDEO,
            candidates: 0,
        },
    ),
    (
        "gstreamer-1.22",
        Accepted {
            payload: (96, Some(97)),
            profile_level: "42e01f",
            extensions: (None, None),
            sections: VIDEO,
            candidates: 3,
        },
    ),
    ("gstreamer-1.22-bare-caps", Refused { because: "without packetization-mode=1" }),
    (
        "libdatachannel-0.24.5",
        Accepted {
            payload: (96, None),
            profile_level: "42e01f",
            extensions: (None, None),
            sections: VIDEO,
            candidates: 2,
        },
    ),
    (
        "safari-17-reconstructed",
        Accepted {
            payload: (98, Some(99)),
            profile_level: "42e01f",
            extensions: (Some(2), Some(5)),
            sections: VIDEO,
            candidates: 0,
        },
    ),
    (
        "str0m-0.25.0",
        Accepted {
            payload: (108, Some(109)),
            profile_level: "42e01f",
            extensions: (Some(2), None),
            sections: VIDEO,
            candidates: 1,
        },
    ),
    (
        "webrtc-rs-0.21.1",
        Accepted {
            payload: (102, Some(103)),
            profile_level: "42e01f",
            extensions: (None, None),
            sections: VIDEO,
            candidates: 1,
        },
    ),
    (
        "werift-0.24.4",
        Accepted {
            payload: (96, None),
            profile_level: "42e01f",
            extensions: (None, None),
            sections: VIDEO,
            candidates: 2,
        },
    ),
    ("werift-0.24.4-default-codecs", Refused { because: "no H.264" }),
];

fn text(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/offers");
    std::fs::read_to_string(folder.join(format!("{name}.sdp"))).expect("a readable file")
}

#[test]
fn every_file_of_the_folder_is_tested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/offers");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
        .filter_map(|name| name.strip_suffix(".sdp").map(Into::into))
        .filter(|name: &String| !name.starts_with("case-"))
        .collect();
    let tested: BTreeSet<String> = EXPECTED.iter().map(|(name, _)| (*name).into()).collect();
    assert_eq!(files, tested);
}

#[test]
fn each_is_read_as_its_sender_meant_it() {
    let stream = ProfileLevel::parse(STREAM).expect("valid");
    for (name, expected) in &EXPECTED {
        let offer = Offer::parse(&text(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let chosen = offer.video().payload(stream);
        match expected {
            Refused { because } => {
                let refusal = chosen.expect_err(name).to_string();
                assert!(refusal.contains(because), "{name}: {refusal}");
            }
            Accepted { payload, profile_level, extensions, sections, candidates } => {
                let chosen = chosen.unwrap_or_else(|e| panic!("{name}: {e}"));
                assert_eq!((chosen.pt, chosen.rtx), *payload, "{name}");
                assert_eq!(chosen.profile_level.to_string(), *profile_level, "{name}");
                assert!(chosen.feedback.nack && chosen.feedback.pli, "{name}");
                let transport = offer.transport().expect("a transport");
                let ids = offer.video().extensions;
                assert_eq!((ids.abs_send_time, ids.playout_delay), *extensions, "{name}");
                let kinds: Vec<&str> = offer.sections.iter().map(|s| &s.kind[..]).collect();
                assert_eq!(kinds, *sections, "{name}");
                assert_eq!(offer.video().direction, Direction::RecvOnly, "{name}");
                assert_eq!(transport.candidates.len(), *candidates, "{name}");
            }
        }
    }
}

#[test]
fn each_is_answered_by_the_book_and_with_the_truth() {
    let daemon = Daemon::start(&["camera.width=640", "camera.height=360"]);
    // A viewer that stays, so that the stream is known when the others offer.
    let mut peer = Peer::connect(&daemon);
    peer.run_until("a key frame", |seen| seen.first_key.is_some());
    let sps = SpsInfo::parse(&peer.seen.sps).expect("a valid SPS").profile_level;
    for (name, expected) in &EXPECTED {
        let offer = text(name);
        let to = daemon.http;
        let sdp = ("Content-Type", "application/sdp");
        let reply = ask(to, "POST", "/whep", &[sdp], &offer);
        if let Refused { because } = expected {
            assert_eq!(reply.status, 400, "{name}: {reply:?}");
            assert!(reply.detail().contains(because), "{name}: {reply:?}");
            continue;
        }
        assert_eq!(reply.status, 201, "{name}: {reply:?}");
        let problems = lint(&Description::of(&reply.body), &Description::of(&offer), sps);
        assert!(problems.is_empty(), "{name}: {problems:#?}\n{}", reply.body);
        let session = resolve("/whep", reply.header("location"));
        assert_eq!(ask(to, "DELETE", &session, &[], "").status, 200);
    }
}

/// What came from the field and was misread or wrongly answered (`case-*`): which section is sent
/// to, and with whose transport.
const CASES: [(&str, usize, &str); 18] = [
    ("audio-first-bundled-credentials-differ", 1, "abcd"),
    ("audio-first-with-credentials-of-its-own", 1, "abcd"),
    ("audio-then-video", 1, "abcd"),
    ("bundle-of-some", 0, "abcd"),
    ("data-then-video", 1, "abcd"),
    ("ice-lite", 0, "abcd"),
    ("lf-only", 0, "abcd"),
    ("no-bundle-group", 0, "abcd"),
    ("profile-rtp-savpf", 0, "abcd"),
    ("profile-udp-tls-rtp-savp", 0, "abcd"),
    ("spaces-at-line-ends", 0, "abcd"),
    ("two-spaces-in-m-line", 0, "abcd"),
    ("two-spaces-in-rtpmap", 0, "abcd"),
    ("two-videos-first-inactive", 1, "abcd"),
    ("two-videos-first-sendonly", 1, "abcd"),
    ("two-videos-first-vp8", 1, "abcd"),
    ("video-audio-data", 0, "abcd"),
    ("video-then-audio", 0, "abcd"),
];

#[test]
fn the_first_section_that_can_be_sent_video_is_and_by_its_own_transport() {
    let stream = ProfileLevel::parse(STREAM).expect("valid");
    for (name, section, ufrag) in CASES {
        let mut offer =
            Offer::parse(&text(&format!("case-{name}"))).unwrap_or_else(|e| panic!("{name}: {e}"));
        offer.settle(stream).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(std::ptr::eq(offer.video(), &offer.sections[section]), "{name}");
        let transport = offer.transport().expect("a transport");
        assert_eq!(transport.credentials.ufrag, ufrag, "{name}");
    }
}

#[test]
fn every_section_of_an_offer_has_its_answer() {
    let daemon = Daemon::start(&["camera.width=640", "camera.height=360"]);
    let mut peer = Peer::connect(&daemon);
    peer.run_until("a key frame", |seen| seen.first_key.is_some());
    let sps = SpsInfo::parse(&peer.seen.sps).expect("a valid SPS").profile_level;
    for (name, section, _) in CASES {
        let offer = text(&format!("case-{name}"));
        let json = serde_json::json!({ "type": "offer", "sdp": offer }).to_string();
        let sdp = ("Content-Type", "application/sdp");
        let by_whep = ask(daemon.http, "POST", "/whep", &[sdp], &offer);
        assert_eq!(by_whep.status, 201, "{name}: {by_whep:?}");
        let by_json = ask(daemon.http, "POST", "/offer", &[], &json);
        assert_eq!(by_json.status, 200, "{name}: {by_json:?}");
        let by_json: serde_json::Value = serde_json::from_str(&by_json.body).expect("JSON");
        let meant = offer.replace("  ", " ");
        for answer in [&by_whep.body[..], by_json["sdp"].as_str().expect("an answer")] {
            let (answer, offer) = (Description::of(answer), Description::of(&meant));
            let problems = lint(&answer, &offer, sps);
            assert!(problems.is_empty(), "{name}: {problems:#?}\n{}", by_whep.body);
            assert_eq!(answer.sending(), section, "{name}");
        }
        assert!(!offer.contains("BUNDLE") || by_whep.body.contains("BUNDLE"), "{name}");
    }
}

/// RFC 9143 §7.2.1: port 0 means the bundle's only where `a=bundle-only` says so.
#[test]
fn a_section_that_the_viewer_itself_rejects_stays_rejected() {
    let offered = text("case-video-then-audio");
    let rejected = offered.replace("m=audio 9 ", "m=audio 0 ");
    assert_ne!(offered, rejected);
    let port = |offer: &str| {
        let daemon = Daemon::start(&["camera.width=640", "camera.height=360"]);
        let sdp = ("Content-Type", "application/sdp");
        let answer = ask(daemon.http, "POST", "/whep", &[sdp], offer).body;
        let line = answer.lines().find(|line| line.starts_with("m=audio")).expect("mirrored");
        let bundle = answer.lines().find(|line| line.starts_with("a=group:BUNDLE")).expect("one");
        (line.split(' ').nth(1).expect("a port").to_owned(), bundle.split(' ').count() - 1)
    };
    assert_eq!(port(&offered), ("9".into(), 2));
    assert_eq!(port(&rejected), ("0".into(), 1));
    let line = rejected.lines().find(|line| line.starts_with("m=audio")).expect("one");
    let bundle_only = rejected.replace(line, &format!("{line}\r\na=bundle-only"));
    assert_eq!(port(&bundle_only), ("9".into(), 2));
}

#[test]
fn an_offer_without_rtcp_mux_is_refused_in_words() {
    let offer = text("chromium-156");
    let without = offer.replace("a=rtcp-mux\r\n", "");
    assert_ne!(offer, without);
    let error = Offer::parse(&without).expect_err("one port is all there is").to_string();
    assert!(error.contains("without a=rtcp-mux"), "{error}");
    assert!(Offer::parse(&offer.replace("a=rtcp-mux\r\n", "a=rtcp-mux-only\r\n")).is_ok());
}

#[test]
fn a_mark_or_a_space_too_many_changes_nothing() {
    let plain = text("chromium-156");
    let tidy = Offer::parse(&plain).expect("an offer");
    let spaced = plain.replace("\r\n", " \t\r\n").replace("UDP/", "  UDP/").replace(':', ": ");
    // Colons within values stay: those of fingerprints and addresses.
    let spaced = spaced.lines().map(|line| match line.split_once(": ") {
        Some((name, value)) => format!("{name}: {}\n", value.replace(": ", ":")),
        None => format!("{line}\n"),
    });
    for untidy in [format!("\u{feff}{plain}"), spaced.collect(), plain.replace("\r\n", "\n")] {
        let read = Offer::parse(&untidy).unwrap_or_else(|e| panic!("{e}\n{untidy}"));
        assert_eq!(read.transport(), tidy.transport());
        assert_eq!(format!("{:?}", read.video()), format!("{:?}", tidy.video()));
    }
}

#[test]
fn a_viewer_that_is_ice_lite_is_checked_and_its_path_chosen() {
    let daemon = Daemon::start(&["camera.width=640", "camera.height=360"]);
    let mut peer = Offered::ice_lite().send(&daemon);
    peer.run_until("pictures", |seen| seen.pictures >= 10);
    let session = daemon.get_json(&format!("/api/v1/sessions/{}", peer.session));
    assert_eq!(session["transport"]["iceRole"], "controlling");
    assert_eq!(session["transport"]["iceState"], "connected");
}

/// Damage done to each file.
const MUTATIONS: u64 = 5_000;

#[test]
fn no_damage_to_an_offer_makes_the_reader_panic() {
    let stream = ProfileLevel::parse(STREAM).expect("valid");
    let names = EXPECTED.iter().map(|(name, _)| (*name).to_owned());
    let names: Vec<String> = names.chain(CASES.map(|(name, ..)| format!("case-{name}"))).collect();
    let offers: Vec<String> = names.iter().map(|name| text(name)).collect();
    for (name, offer) in names.iter().zip(&offers) {
        for seed in 0..MUTATIONS {
            let damaged = damage(offer, &offers, seed);
            let outcome = catch_unwind(|| {
                if let Ok(mut offer) = Offer::parse(&damaged) {
                    let _ = offer.settle(stream);
                    assert!(offer.video().direction != Direction::SendOnly);
                    assert!(offer.transport().is_ok());
                }
            });
            assert!(outcome.is_ok(), "{name}, seed {seed}:\n{damaged}");
        }
    }
}

/// A few mistakes of every kind, the same for the same seed.
fn damage(offer: &str, others: &[String], seed: u64) -> String {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut bytes = offer.as_bytes().to_vec();
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..=bytes.len());
        let to = rng.usize(at..=bytes.len().min(at + 60));
        match rng.u8(..8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..to)),
            2 => drop(bytes.splice(at..at, bytes[at..to].to_vec())),
            3 => drop(bytes.splice(at..at, [rng.u8(..)])),
            4 => drop(bytes.splice(at..at, *b"4294967296")),
            5 => bytes[at..to].fill(rng.u8(..)),
            6 => bytes[at..to].rotate_left((to - at) / 2),
            _ => {
                // A line of another offer.
                let other = rng.choice(others).map_or("", |o| o);
                let lines: Vec<&str> = other.split_inclusive('\n').collect();
                let line = rng.choice(&lines).copied().unwrap_or_default();
                let begin = bytes[..at].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
                drop(bytes.splice(begin..begin, line.bytes()));
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
