//! Networks as they are at home, made of network namespaces: loss, one viewer at the end of a thin
//! line, two cameras of the same name.
//!
//! Needs root, iproute2 and nftables. Without them the tests say so and pass, except in CI.

mod common;

use std::time::{Duration, Instant};

use common::alone;
use common::client::{ask, resolve};
use common::daemon::{Daemon, metric, wait_for};
use common::network::{Network, PREFIXES, TOKEN, must, seen_from};
use common::peer::{Offered, Peer, Seen};
use common::steward::StandIn;
use picket::testing::appliance::{STEWARD_VARIABLE, StewardRequest};

fn watch(daemon: &Daemon, i: usize, time: Duration) -> Seen {
    let mut peer = join(daemon, i);
    peer.run_for(time);
    let seen = peer.seen.clone();
    peer.close();
    seen
}

/// The same, and how many pictures the camera made meanwhile.
fn watch_all(daemon: &Daemon, i: usize, time: Duration) -> (Seen, f64) {
    let made = || metric(&daemon.metrics_at(seen_from(daemon, i)), "picket_pictures_total");
    let mut peer = join(daemon, i);
    let before = made();
    // Asked before the end: what is made while the answer comes is seen in what is left.
    let rest = Duration::from_millis(500);
    peer.run_for(time.saturating_sub(rest));
    let made = made() - before;
    peer.run_for(rest);
    let seen = peer.seen.clone();
    peer.close();
    (seen, made)
}

fn join(daemon: &Daemon, i: usize) -> Peer {
    let offered = Offered::from(&format!("{}.2", PREFIXES[i]));
    let answer = common::peer::post_offer_at(seen_from(daemon, i), daemon, &offered.sdp);
    let mut peer =
        offered.accept(answer["sdp"].as_str().expect("an answer"), answer["session"].as_str());
    peer.run_until("a picture", |seen| seen.pictures > 0);
    peer
}

#[test]
fn the_second_of_two_cameras_of_the_same_name_is_reached_by_the_name_it_takes() {
    let _alone = alone();
    let Some(network) = Network::with_viewers(1) else {
        return;
    };
    let stewards = [StandIn::new(), StandIn::new()];
    let spaces = [&network.camera, &network.viewers[0]];
    let cameras = [0, 1].map(|i| {
        let mut command = Network::command(spaces[i]);
        command.args(["--set", "device.hostname=porch"]);
        command.env(STEWARD_VARIABLE, stewards[i].socket());
        Daemon::spawn(command)
    });
    // Which of them comes second is theirs to settle.
    let taken = StewardRequest::FoundAs { name: "porch-2".into() };
    let told = |i: usize| stewards[i].state().asked.contains(&taken);
    wait_for("another name", || told(0) || told(1));
    let answers = |i: usize, host| {
        let address = format!("{}.{}:{}", PREFIXES[0], i + 1, cameras[i].http.port());
        let address = address.parse().expect("an address");
        network.at(0, || ask(address, "GET", "/healthz", &[("Host", host)], "").status)
    };
    for i in [0, 1] {
        assert_eq!(answers(i, "porch-2.local"), if told(i) { 200 } else { 421 });
        assert_eq!(answers(i, "porch.local"), 200);
        assert_eq!(answers(i, "porch-3.local"), 421);
    }
}

/// The addresses of host candidates, in order.
fn hosts(description: &str) -> Vec<String> {
    let candidates = description.lines().filter(|l| l.starts_with("a=candidate:"));
    candidates.map(|l| l.split(' ').nth(4).expect("an address").to_owned()).collect()
}

#[test]
fn a_viewer_is_told_first_of_the_address_by_which_it_came_and_never_of_loopback() {
    let Some(network) = Network::with_viewers(2) else {
        return;
    };
    // As a machine with containers has them.
    for n in 0..20 {
        let camera = &network.camera;
        must(&format!("ip -n {camera} link add bridge{n} type bridge"));
        must(&format!("ip -n {camera} addr add 10.{n}.0.1/16 dev bridge{n}"));
        must(&format!("ip -n {camera} link set bridge{n} up"));
    }
    let daemon = network.daemon();
    let token = format!("Bearer {TOKEN}");
    let token = ("Authorization", &token[..]);
    for (i, prefix) in PREFIXES.iter().enumerate() {
        network.at(i, || {
            let at = seen_from(&daemon, i);
            let offered = Offered::from(&format!("{prefix}.2"));
            let sdp = ("Content-Type", "application/sdp");
            let reply = ask(at, "POST", "/whep", &[token, sdp], &offered.sdp);
            assert_eq!(reply.status, 201, "{reply:?}");
            let told = hosts(&reply.body);
            assert_eq!(told[0], format!("{prefix}.1"), "{told:?}");
            assert!(!told.iter().any(|ip| ip.starts_with("127.") || ip == "::1"), "{told:?}");
            let priorities: Vec<&str> = reply
                .body
                .lines()
                .filter(|l| l.starts_with("a=candidate:"))
                .map(|l| l.split(' ').nth(3).expect("a priority"))
                .collect();
            let distinct: std::collections::HashSet<_> = priorities.iter().collect();
            assert_eq!(distinct.len(), priorities.len(), "{priorities:?}");

            let fragment = "a=ice-ufrag:anew\r\na=ice-pwd:0123456789012345678901\r\n\
                            m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n";
            let kind = ("Content-Type", "application/trickle-ice-sdpfrag");
            let restart = ask(
                at,
                "PATCH",
                &resolve("/whep", reply.header("location")),
                &[token, kind, ("If-Match", "*")],
                fragment,
            );
            assert_eq!(restart.status, 200, "{restart:?}");
            assert_eq!(hosts(&restart.body), told, "as the answer said");
        });
    }
}

#[test]
fn under_loss_almost_everything_is_repaired_and_nothing_freezes() {
    let _alone = alone();
    let Some(network) = Network::with_viewers(1) else {
        return;
    };
    let daemon = network.daemon();
    network.lose(0, 5);
    // A machine with too much to do freezes pictures too. What the loss does, it does every time.
    let smooth = (0..3).any(|_| {
        let seen = network.at(0, || watch(&daemon, 0, Duration::from_secs(20)));
        let (repaired, freeze) = repaired_with_freeze(&seen);
        repaired >= 0.95 && freeze < Duration::from_millis(500)
    });
    assert!(smooth, "too little was repaired, or the picture froze, in each of three runs");
}

/// How much of what was lost was repaired, of 1, and the longest freeze.
fn repaired_with_freeze(seen: &Seen) -> (f64, Duration) {
    // What was lost at the very end had no time to be repaired.
    let end = seen.log.iter().map(|a| a.at).max().expect("packets") - Duration::from_millis(500);
    let settled =
        Seen { log: seen.log.iter().filter(|a| a.at < end).copied().collect(), ..seen.clone() };
    let (expected, got) = (settled.expected(), settled.log.len() as u64);
    let lost = (seen.expected() - seen.direct) as f64;
    let repaired = 1.0 - (expected - got) as f64 / lost;
    let freeze = settled.longest_freeze();
    println!(
        "{} packets, {lost} lost on the way ({:.1} %), {:.1} % of them repaired, longest freeze {freeze:?}",
        seen.expected(),
        lost / seen.expected() as f64 * 100.0,
        repaired * 100.0
    );
    assert!(lost / seen.expected() as f64 > 0.02, "nothing was lost: the test tests nothing");
    (repaired, freeze)
}

#[test]
fn sixty_of_sixty_join_under_loss() {
    let _alone = alone();
    let Some(network) = Network::with_viewers(1) else {
        return;
    };
    let daemon = network.daemon();
    network.lose(0, 5);
    network.at(0, || {
        for _ in 0..60 {
            join(&daemon, 0).close();
        }
    });
}

#[test]
fn a_viewer_at_the_end_of_a_thin_line_harms_nobody_else() {
    let _alone = alone();
    let Some(network) = Network::with_viewers(2) else {
        return;
    };
    let daemon = network.daemon();
    let camera = &network.camera;
    must(&format!(
        "tc -n {camera} qdisc add dev line0 root tbf rate 100kbit burst 4kb latency 400ms"
    ));
    let time = Duration::from_secs(10);
    std::thread::scope(|scope| {
        let thin = scope.spawn(|| {
            network.at(0, || {
                let offered = Offered::from(&format!("{}.2", PREFIXES[0]));
                let at = seen_from(&daemon, 0);
                let answer = common::peer::post_offer_at(at, &daemon, &offered.sdp);
                let mut peer = offered.accept(answer["sdp"].as_str().expect("an answer"), None);
                let started = Instant::now();
                while started.elapsed() < time + Duration::from_secs(5) {
                    peer.run_for(Duration::from_millis(100));
                }
                peer.seen.direct
            })
        });
        let others: Vec<_> =
            (0..4).map(|_| scope.spawn(|| network.at(1, || watch_all(&daemon, 1, time)))).collect();
        for other in others {
            let (seen, made) = other.join().expect("watched");
            assert_eq!(seen.expected(), seen.direct, "packets were lost");
            let pictures = seen.pictures;
            assert!(pictures as f64 >= 0.95 * made, "{pictures} of {made} pictures");
        }
        assert!(thin.join().expect("watched") > 0);
    });
}
