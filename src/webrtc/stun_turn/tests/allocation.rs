//! One allocation: made, kept, lost and given back.

use super::*;

#[test]
fn a_relay_exists_only_while_there_are_sessions_and_a_minute_more() {
    let mut world = World::new(TURN);
    world.pass(minutes(10));
    assert_eq!(world.sent, 0, "nothing is sent before a session exists");
    world.servers.set_sessions(world.now, 1);
    world.settle();
    assert_eq!(world.relays(), [world.fake.relay]);
    assert_eq!(world.addresses(Kind::ServerReflexive), [world.fake.mapped]);
    world.pass(minutes(30));
    assert_eq!(world.fake.count(ALLOCATE, 0), 1, "one is refreshed");
    world.servers.set_sessions(world.now, 0);
    world.pass(Duration::from_secs(59));
    assert_eq!(world.relays().len(), 1);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.servers.candidates(), []);
    assert_eq!(world.lost.len(), 2);
    assert!(!world.fake.allocated);
    let quiet_since = world.sent;
    world.pass(minutes(30));
    assert_eq!(world.sent, quiet_since);
}

#[test]
fn a_viewer_who_comes_back_within_the_minute_finds_the_relay() {
    let mut world = World::with_relay();
    world.servers.set_sessions(world.now, 0);
    world.pass(Duration::from_secs(50));
    world.servers.set_sessions(world.now, 1);
    world.pass(minutes(5));
    assert_eq!(world.fake.count(ALLOCATE, 0), 1);
    assert_eq!(world.lost, []);
}

#[test]
fn closing_gives_the_relay_back() {
    let mut world = World::with_relay();
    assert!(!world.servers.is_closed());
    world.servers.close(world.now);
    assert!(!world.servers.is_closed());
    world.settle();
    assert!(world.servers.is_closed());
    assert!(!world.fake.allocated);
    world.servers.set_sessions(world.now, 1);
    world.pass(minutes(5));
    assert_eq!(world.fake.count(ALLOCATE, 0), 1, "closed is closed");
}

#[test]
fn a_stale_nonce_costs_one_more_exchange_and_nothing_else() {
    let mut world = World::with_peer();
    world.fake.change_nonce();
    for last in 1..20 {
        let ip = IpAddr::from([10, 0, 0, last]);
        world.servers.permit(world.now, ip);
    }
    world.settle();
    // Eight requests were under way when the first learnt the new nonce.
    assert_eq!(world.fake.count(CREATE_PERMISSION, 438), 8);
    assert_eq!(world.fake.count(CREATE_PERMISSION, 0), 1 + 19);
    assert_eq!(world.lost, []);
}

#[test]
fn a_wrong_password_is_told_and_does_not_make_a_busy_loop() {
    let mut world = World::new(TURN);
    world.fake.change_password();
    world.servers.set_sessions(world.now, 1);
    world.settle();
    assert_eq!(world.problem(), Some(ServerProblem::Credentials));
    assert_eq!(world.sent, 2, "once without and once with the password");
    let wakes = world.pass(minutes(10));
    assert_eq!(world.sent, 12, "and then once a minute");
    assert!(wakes < 50, "{wakes}");
}

#[test]
fn a_refusal_is_told_with_its_reason_and_tried_again_after_a_minute() {
    let mut world = World::new(TURN);
    world.fake.refuse(ALLOCATE, 486);
    world.servers.set_sessions(world.now, 1);
    world.settle();
    let Some(ServerProblem::Refused { code: 486, .. }) = world.problem() else {
        panic!("{:?}", world.problem());
    };
    world.fake.relent();
    world.pass(Duration::from_secs(59));
    assert_eq!(world.fake.count(ALLOCATE, 486), 1);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.relays().len(), 1);
    assert_eq!(world.problem(), None);
}

#[test]
fn a_restarted_server_is_noticed_and_asked_for_a_new_relay() {
    let mut world = World::with_peer();
    let old = world.fake.relay;
    world.fake.restart();
    world.fake.relay.set_port(50_001);
    world.pass(Duration::from_secs(26));
    assert!(world.lost.iter().any(|c| c.address == old));
    assert_eq!(world.relays(), [world.fake.relay]);
    assert_eq!(world.fake.count(CREATE_PERMISSION, 0), 2, "the peer is let through again");
}

#[test]
fn a_server_that_forgets_again_and_again_is_asked_ever_less() {
    let mut world = World::with_relay();
    for _ in 0..minutes(60).as_secs() {
        world.fake.restart();
        world.pass(Duration::from_secs(1));
    }
    let made = world.fake.count(ALLOCATE, 0);
    assert!(made < 60, "{made}");
}

#[test]
fn a_silent_turn_server_loses_its_candidates_until_it_is_back() {
    let mut world = World::with_relay();
    world.away = true;
    world.pass(Duration::from_secs(26) + GIVES_UP_AFTER);
    assert_eq!(world.servers.candidates(), []);
    assert_eq!(world.problem(), Some(ServerProblem::Silent(server())));
    world.pass(minutes(10));
    assert!(world.sent < 150, "{}", world.sent);
    world.fake.restart();
    world.away = false;
    world.pass(minutes(2));
    assert_eq!(world.relays().len(), 1);
    assert_eq!(world.problem(), None);
}

#[test]
fn the_relay_of_a_killed_daemon_is_ended_and_a_new_one_made() {
    let mut world = World::new(TURN);
    world.fake.allocated = true;
    world.fake.slow_to_let_go = 2;
    world.servers.set_sessions(world.now, 1);
    world.pass(Duration::from_secs(3));
    assert_eq!(world.fake.count(ALLOCATE, 437), 3);
    assert_eq!(world.fake.count(REFRESH, 0), 1);
    assert_eq!(world.relays().len(), 1);
}

#[test]
fn a_server_that_never_lets_go_is_asked_once_a_minute() {
    let mut world = World::new(TURN);
    world.fake.slow_to_let_go = u32::MAX;
    world.servers.set_sessions(world.now, 1);
    world.pass(minutes(1));
    assert!(matches!(world.problem(), Some(ServerProblem::Refused { code: 437, .. })));
    let asked = world.fake.count(ALLOCATE, 437);
    assert!(asked < 10, "{asked}");
}

#[test]
fn a_short_lifetime_is_respected() {
    let mut world = World::new(TURN);
    world.fake.lifetime = 10;
    world.servers.set_sessions(world.now, 1);
    world.pass(minutes(1));
    assert_eq!(world.fake.count(REFRESH, 0), 12);
    assert_eq!(world.lost, []);
}

#[test]
fn a_relay_address_without_the_servers_signature_is_not_believed() {
    let mut world = World::new(TURN);
    world.servers.set_sessions(world.now, 1);
    let mut requests = 0;
    while let Poll::Transmit { bytes, .. } = world.servers.poll(world.now) {
        requests += 1;
        let mut answer = world.fake.answer(&bytes).unwrap();
        if requests == 2 {
            let last = answer.len() - 1;
            answer[last] ^= 1;
        }
        world.servers.handle(world.now, server(), &answer);
    }
    assert_eq!(requests, 2);
    assert!(world.relays().is_empty());
}
