//! Through the relay: permissions, channels, and what goes over them.

use super::*;

#[test]
fn nothing_is_sent_to_a_peer_before_it_is_permitted() {
    let mut world = World::with_relay();
    assert_eq!(world.send(b"check", 5), None);
    world.settle();
    assert_eq!(world.fake.count(CREATE_PERMISSION, 0), 1, "asked for");
    let (wrapped, bytes) = world.send(b"check", 5).unwrap();
    assert_eq!(wrapped.to, server());
    assert_eq!(bytes.len(), wrapped.segment_size);
    assert_eq!(bytes[..2], [0, 0x16], "a Send indication");
    assert_eq!(world.send(b"check", 0), None);
    assert_eq!(world.send(&[0; 70_000], 70_000), None);
}

#[test]
fn a_peer_that_gets_media_gets_a_channel_with_four_bytes_of_header() {
    let mut world = World::with_peer();
    let picture: Vec<u8> = (0..5000_u32).map(|n| n as u8).collect();
    let (_, bytes) = world.send(&picture, 1000).unwrap();
    assert_eq!(bytes.len(), 5 * (1000 + 36));
    world.settle();
    assert_eq!(world.fake.count(CHANNEL_BIND, 0), 1);

    let (wrapped, bytes) = world.send(&picture[..4800], 1000).unwrap();
    assert_eq!((wrapped.segment_size, bytes.len()), (1004, 4 * 1004 + 804));
    for (wrapped, plain) in bytes.chunks(1004).zip(picture.chunks(1000)) {
        let plain = &plain[..wrapped.len() - 4];
        assert_eq!(wrapped[..2], [0x40, 0]);
        assert_eq!(wrapped[2..4], (plain.len() as u16).to_be_bytes());
        assert_eq!(&wrapped[4..], plain);
        // The server's form of the same is opened again.
        let relayed = world.servers.handle(world.now, server(), wrapped);
        let expected = Handled::Relayed { relay: world.fake.relay, peer: peer(), data: plain };
        assert_eq!(relayed, expected);
        let too_long = [wrapped, &[0; 4]].concat();
        let handled = world.servers.handle(world.now, server(), &too_long);
        assert_eq!(handled, Handled::NotMine);
    }
}

#[test]
fn a_peer_that_gets_checks_only_gets_no_channel() {
    let mut world = World::with_peer();
    for _ in 0..30 {
        world.send(&[0; 100], 100).unwrap();
        world.pass(Duration::from_secs(5));
    }
    assert_eq!(world.fake.count(CHANNEL_BIND, 0), 0);
}

#[test]
fn what_a_refused_channel_would_have_carried_goes_by_indication() {
    let mut world = World::with_peer();
    world.fake.refuse(CHANNEL_BIND, 508);
    for _ in 0..100 {
        let (_, bytes) = world.send(&[0; 5000], 1000).unwrap();
        assert_eq!(bytes[..2], [0, 0x16]);
        world.settle();
    }
    assert_eq!(world.fake.count(CHANNEL_BIND, 508), 1);
    assert_eq!(world.lost, []);
}

#[test]
fn permissions_and_channels_live_as_long_as_they_are_used() {
    let mut world = World::with_peer();
    for second in 0..minutes(30).as_secs() {
        let sent = world.send(&[0; 1000], 1000);
        assert!(sent.is_some(), "closed after {second} s");
        world.pass(Duration::from_secs(1));
    }
    let renewed = world.fake.count(CREATE_PERMISSION, 0);
    assert!((6..=9).contains(&renewed), "every four minutes: {renewed}");
    let bound = world.fake.count(CHANNEL_BIND, 0);
    assert!((3..=4).contains(&bound), "every nine minutes: {bound}");

    world.pass(minutes(30));
    assert!(world.fake.count(CREATE_PERMISSION, 0) <= renewed + 1);
    assert!(world.fake.count(CHANNEL_BIND, 0) <= bound + 1);
    assert_eq!(world.send(b"late", 4), None, "it has to be asked for again");
}

#[test]
fn a_forbidden_peer_is_not_asked_for_all_the_time_and_harms_no_other() {
    let mut world = World::with_peer();
    world.fake.refuse(CREATE_PERMISSION, 403);
    let forbidden = IpAddr::from([10, 0, 0, 1]);
    for _ in 0..30 {
        world.servers.permit(world.now, forbidden);
        world.pass(Duration::from_secs(1));
    }
    assert_eq!(world.fake.count(CREATE_PERMISSION, 403), 1);
    assert!(world.send(b"check", 5).is_some());
}

#[test]
fn a_flood_of_candidates_neither_fills_memory_nor_shuts_a_viewer_out() {
    let mut world = World::with_peer();
    let start = world.sent;
    for n in 0..100_000_u32 {
        let ip = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        world.servers.permit(world.now, ip);
    }
    world.settle();
    assert!(world.send(b"check", 5).is_some());
    assert!(world.sent - start <= 128, "{}", world.sent - start);
}

#[test]
fn an_ipv6_peer_is_not_asked_of_an_ipv4_relay() {
    let mut world = World::with_relay();
    world.servers.permit(world.now, "2001:db8::7".parse().unwrap());
    world.servers.permit(world.now, "::ffff:10.0.0.1".parse().unwrap());
    world.settle();
    assert_eq!(world.fake.count(CREATE_PERMISSION, 0), 1);
}

#[test]
fn data_of_a_permitted_peer_is_handed_on_and_of_no_other() {
    let mut world = World::with_peer();
    let now = world.now;
    let expected = Handled::Relayed { relay: world.fake.relay, peer: peer(), data: b"hello" };
    let datagram = data_indication(peer(), b"hello");
    // As a dual-stack socket shows the server's address.
    let mapped = "[::ffff:192.0.2.1]:3478".parse().unwrap();
    assert_eq!(world.servers.handle(now, mapped, &datagram), expected);

    let elsewhere = "192.0.2.2:3478".parse().unwrap();
    let stranger = data_indication("192.0.2.78:1".parse().unwrap(), b"hello");
    for (from, datagram) in [
        (elsewhere, &datagram[..]),
        (server(), &stranger[..]),
        (server(), &datagram[..datagram.len() - 4]),
        (server(), &[&datagram[..], &[0; 4]].concat()),
        (server(), &[0x40, 0, 0, 1, 7]),
        (server(), &[]),
    ] {
        let handled = world.servers.handle(now, from, datagram);
        assert_eq!(handled, Handled::NotMine);
    }
}
