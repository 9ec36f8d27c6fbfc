use std::sync::Arc;
use std::time::Duration;

use str0m::crypto::dtls::SrtpProfile;

use super::*;
use crate::hub::Published;
use crate::media::AccessUnit;
use crate::media::h264::tests::{PPS, SPS, annex_b};
use crate::media::h264::{ParameterSets, ProfileLevel};

use crate::rtc::srtp::DtlsRole;

const SSRC: u32 = 0x1122_3344;
const RTX_SSRC: u32 = 0x1122_3345;
const RTT: Duration = Duration::from_millis(20);

fn sealer() -> Sealer {
    Sealer::new(SrtpProfile::AES128_CM_SHA1_80, &[7; 60], DtlsRole::Server).unwrap()
}

fn egress(rtx: Option<u8>, first: u16) -> Egress {
    let parameters = StreamParameters {
        payload: Payload {
            pt: 96,
            rtx,
            profile_level: ProfileLevel::constrained_baseline(31),
            level_asymmetry: true,
            feedback: Default::default(),
        },
        extensions: ExtensionIds { playout_delay: Some(3), abs_send_time: Some(4) },
        ssrc: SSRC,
        rtx_ssrc: RTX_SSRC,
        cname: "picket".into(),
        timestamp_offset: 1000,
    };
    Egress::new(parameters, sealer(), first)
}

fn at(millis: u64) -> MediaTime {
    MediaTime::from_nanos(millis * 1_000_000)
}

/// A key picture whose slice is `len` bytes long.
fn picture(len: usize, time: MediaTime) -> Arc<Cut> {
    let mut slice = vec![0x65];
    slice.resize(len, 0xaa);
    let bytes = annex_b(&[SPS, PPS, &slice]);
    let unit = AccessUnit::from_annex_b(bytes.into(), time, &mut ParameterSets::default()).unwrap();
    Arc::new(Cut::new(Arc::new(Published { unit, sequence: 0, at: time, time })))
}

/// What a receiver reads in a packet's header, and the payload in the clear.
#[derive(Debug)]
struct Packet {
    pt: u8,
    marker: bool,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload: Vec<u8>,
}

/// The datagrams of a batch, opened. `index` is the extended number of the first.
fn opened(batch: &Batch, mut index: u64) -> Vec<Packet> {
    let sealer = sealer();
    let datagrams = batch.runs().flat_map(|(bytes, segment)| bytes.chunks(segment));
    datagrams
        .map(|datagram| {
            let mut bytes = datagram.to_vec();
            let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
            let (timestamp, ssrc) = (word(4), word(8));
            assert_eq!(bytes[0], 0x90, "version 2, with extensions");
            assert_eq!(&bytes[12..16], [0xbe, 0xde, 0, 2]);
            // Counter mode: sealing what is sealed opens it.
            sealer.seal_rtp(&mut bytes, 24, ssrc, index).unwrap();
            index += 1;
            Packet {
                pt: bytes[1] & 0x7f,
                marker: bytes[1] & 0x80 != 0,
                sequence: u16::from_be_bytes([bytes[2], bytes[3]]),
                timestamp,
                ssrc,
                payload: bytes[24..bytes.len() - sealer.tag_len()].to_vec(),
            }
        })
        .collect()
}

fn send(egress: &mut Egress, cut: &Arc<Cut>, now: MediaTime) -> Batch {
    let mut batch = Batch::default();
    egress.picture(cut, 0..cut.chunks.len(), now, &mut batch).unwrap();
    batch
}

#[test]
fn a_picture_is_a_run_of_packets_with_one_timestamp_and_a_mark_at_its_end() {
    let (mut egress, cut) = (egress(None, 40), picture(5000, at(1000)));
    let batch = send(&mut egress, &cut, at(1010));
    let packets = opened(&batch, 40);
    assert_eq!(packets.len(), cut.chunks.len());
    for (i, packet) in packets.iter().enumerate() {
        assert_eq!((packet.pt, packet.ssrc), (96, SSRC));
        assert_eq!(packet.sequence, 40 + i as u16);
        assert_eq!(packet.timestamp, 90_000 + 1000);
        assert_eq!(packet.marker, i + 1 == packets.len());
        let chunk = &cut.chunks[i];
        assert_eq!(packet.payload, [chunk.head(), chunk.body()].concat());
    }
    let sent = egress.sent();
    assert_eq!((sent.pictures, sent.key_pictures), (1, 1));
    assert_eq!(sent.packets, packets.len() as u64);
    // SPS and PPS are small, the slice's fragments of one size: three runs at most.
    assert!(batch.runs().count() <= 3);
}

#[test]
fn sequence_numbers_wrap_and_the_cipher_counts_on() {
    let mut egress = egress(Some(97), 0x7ff0);
    egress.next = 0xfff0;
    let cut = picture(30_000, at(1));
    let packets = opened(&send(&mut egress, &cut, at(1)), 0xfff0);
    assert_eq!(packets.last().unwrap().sequence, (0xfff0 + packets.len() - 1) as u16);
    let mut batch = Batch::default();
    assert!(egress.resend(0xffff, RTT, at(2), &mut batch).unwrap());
    assert!(egress.resend(2, RTT, at(2), &mut batch).unwrap());
    let again = opened(&batch, egress.next_rtx - 2);
    assert_eq!(&again[0].payload[..2], [0xff, 0xff]);
    assert_eq!(&again[1].payload[2..], packets[0x12].payload);
}

#[test]
fn a_lost_packet_is_sent_again_in_a_stream_of_its_own() {
    let (mut egress, cut) = (egress(Some(97), 10), picture(4000, at(0)));
    let first = opened(&send(&mut egress, &cut, at(0)), 10);
    let mut batch = Batch::default();
    assert!(egress.resend(12, RTT, at(30), &mut batch).unwrap());
    let again = opened(&batch, egress.next_rtx - 1);
    let [packet] = &again[..] else { panic!("{again:?}") };
    assert_eq!((packet.pt, packet.ssrc), (97, RTX_SSRC));
    assert_eq!(packet.timestamp, first[2].timestamp);
    assert_eq!(packet.payload, [&12_u16.to_be_bytes()[..], &first[2].payload].concat());
    assert_eq!(egress.sent().retransmitted_packets, 1);
}

#[test]
fn asking_again_before_an_answer_could_be_there_is_asking_once() {
    let (mut egress, cut) = (egress(Some(97), 10), picture(4000, at(0)));
    send(&mut egress, &cut, at(0));
    let mut ask = |now| egress.resend(11, RTT, at(now), &mut Batch::default()).unwrap();
    assert!(ask(30));
    assert!(!ask(31));
    assert!(!ask(50));
    assert!(ask(51));
}

#[test]
fn what_is_not_remembered_or_was_never_sent_is_not_sent_again() {
    let (mut egress, cut) = (egress(Some(97), 10), picture(4000, at(0)));
    send(&mut egress, &cut, at(0));
    let end = egress.next as u16;
    let mut ask = |sequence, now| egress.resend(sequence, RTT, at(now), &mut Batch::default());
    assert!(!ask(9, 1).unwrap(), "before the first");
    assert!(!ask(end, 1).unwrap(), "after the last");
    assert!(ask(10, 1).unwrap());
    send(&mut egress, &picture(100, at(3000)), at(3000));
    let mut batch = Batch::default();
    assert!(!egress.resend(10, RTT, at(3000), &mut batch).unwrap(), "three seconds ago");
    assert_eq!(batch.runs().count(), 0);
}

#[test]
fn a_viewer_that_takes_no_retransmissions_gets_none() {
    let (mut egress, cut) = (egress(None, 10), picture(4000, at(0)));
    send(&mut egress, &cut, at(0));
    assert!(!egress.resend(11, RTT, at(1), &mut Batch::default()).unwrap());
}

#[test]
fn retransmissions_never_more_than_add_a_third() {
    let mut egress = egress(Some(97), 0);
    // A megabyte within a second, and every packet asked for a dozen times.
    for i in 0..10 {
        send(&mut egress, &picture(100_000, at(i * 90)), at(i * 90));
    }
    let sent = egress.sent();
    for now in 900..1020 {
        for sequence in 0..sent.packets {
            egress.resend(sequence as u16, RTT, at(now), &mut Batch::default()).unwrap();
        }
    }
    let resent = egress.sent().retransmitted_bytes;
    assert!(resent > 0);
    assert!(resent <= sent.payload_bytes / 3 + FREE_BYTES, "{resent} of {}", sent.payload_bytes);
}

#[test]
fn a_report_tells_which_moment_a_timestamp_means_and_only_once_there_is_one() {
    let mut egress = egress(None, 10);
    let wall = Duration::from_secs(1_800_000_000);
    let mut batch = Batch::default();
    egress.sender_report(at(5), wall, &mut batch).unwrap();
    assert_eq!(batch.runs().count(), 0);

    let cut = picture(100, at(1000));
    send(&mut egress, &cut, at(1010));
    egress.sender_report(at(1500), wall, &mut batch).unwrap();
    let (report, _) = batch.runs().next().unwrap();
    assert_eq!(&report[..4], [0x80, 200, 0, 6], "a sender report");
    assert_eq!(report[4..8], SSRC.to_be_bytes());
    // The rest is sealed; what is in it is checked against a real receiver in tests/receivers.rs.
    assert!(report.len() > 28 + 8);
    assert_eq!(ntp(Duration::from_millis(1500)) >> 32, 2_208_988_801);
    assert_eq!(ntp(Duration::from_millis(1500)) as u32, 1 << 31);
}
