use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::hub::Published;
use crate::media::AccessUnit;
use crate::media::h264::ParameterSets;
use crate::media::h264::tests::{PPS, SPS, annex_b};
use crate::rtp::Unprotected;
use crate::rtp::resend::FREE_BYTES;

const SSRC: u32 = 0x1122_3344;
const RTX_SSRC: u32 = 0x1122_3345;
const RTT: Duration = Duration::from_millis(20);

/// Marks what it protects, so that a packet tells its index.
#[derive(Clone, Copy)]
struct Marked;

impl Protection for Marked {
    fn rtp_overhead(&self) -> usize {
        8
    }

    fn protect_rtp(
        &self,
        packet: &mut [u8],
        _: usize,
        _: u32,
        index: u64,
    ) -> Result<(), ProtectionError> {
        let at = packet.len() - 8;
        packet[at..].copy_from_slice(&index.to_be_bytes());
        Ok(())
    }

    fn protect_rtcp(
        &self,
        packet: &mut Vec<u8>,
        _: u32,
        index: u32,
    ) -> Result<(), ProtectionError> {
        packet.extend_from_slice(&index.to_be_bytes());
        Ok(())
    }
}

fn parameters(rtx: Option<u8>) -> RtpParameters {
    RtpParameters {
        payload_type: 96,
        clock_rate: 90_000,
        extensions: HeaderExtensions { playout_delay: Some(3), abs_send_time: Some(4) },
        ssrc: SSRC,
        retransmission: rtx.map(|payload_type| Retransmission { payload_type, ssrc: RTX_SSRC }),
        cname: "picket".into(),
        timestamp_offset: 1000,
    }
}

fn stream(rtx: Option<u8>, first: u16) -> RtpStream<Marked> {
    RtpStream::new(parameters(rtx), Marked, first)
}

fn at(millis: u64) -> MediaTime {
    MediaTime::from_nanos(millis * 1_000_000)
}

/// A key frame whose slice is `len` bytes long.
fn picture(len: usize, time: MediaTime) -> Arc<PacketizedSample> {
    let mut slice = vec![0x65];
    slice.resize(len, 0xaa);
    let bytes = annex_b(&[SPS, PPS, &slice]);
    let unit = AccessUnit::from_annex_b(bytes.into(), time, &mut ParameterSets::default()).unwrap();
    let sample = unit.into();
    Arc::new(PacketizedSample::new(Arc::new(Published { sample, sequence: 0, at: time, time })))
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

/// The datagrams of a batch, read. `index` is the extended number of the first.
fn opened(batch: &DatagramBatch, mut index: u64) -> Vec<Packet> {
    let datagrams = batch.runs().flat_map(|(bytes, segment)| bytes.chunks(segment));
    datagrams
        .map(|datagram| {
            let bytes = datagram.to_vec();
            let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
            let (timestamp, ssrc) = (word(4), word(8));
            assert_eq!(bytes[0], 0x90, "version 2, with extensions");
            assert_eq!(&bytes[12..16], [0xbe, 0xde, 0, 2]);
            let end = bytes.len() - 8;
            assert_eq!(bytes[end..], index.to_be_bytes(), "no index twice, and none left out");
            index += 1;
            Packet {
                pt: bytes[1] & 0x7f,
                marker: bytes[1] & 0x80 != 0,
                sequence: u16::from_be_bytes([bytes[2], bytes[3]]),
                timestamp,
                ssrc,
                payload: bytes[24..end].to_vec(),
            }
        })
        .collect()
}

fn send(
    rtp: &mut RtpStream<Marked>,
    sample: &Arc<PacketizedSample>,
    now: MediaTime,
) -> DatagramBatch {
    let mut batch = DatagramBatch::default();
    rtp.send(sample, 0..sample.payloads.len(), now, &mut batch).unwrap();
    batch
}

#[test]
fn a_picture_is_a_run_of_packets_with_one_timestamp_and_a_mark_at_its_end() {
    let (mut rtp, sample) = (stream(None, 40), picture(5000, at(1000)));
    let batch = send(&mut rtp, &sample, at(1010));
    let packets = opened(&batch, 40);
    assert_eq!(packets.len(), sample.payloads.len());
    for (i, packet) in packets.iter().enumerate() {
        assert_eq!((packet.pt, packet.ssrc), (96, SSRC));
        assert_eq!(packet.sequence, 40 + i as u16);
        assert_eq!(packet.timestamp, 90_000 + 1000);
        assert_eq!(packet.marker, i + 1 == packets.len());
        let payload = &sample.payloads[i];
        assert_eq!(packet.payload, [payload.head(), payload.body()].concat());
    }
    let sent = rtp.sent();
    assert_eq!((sent.samples, sent.key_frames), (1, 1));
    assert_eq!(sent.packets, packets.len() as u64);
    // SPS and PPS are small, the slice's fragments of one size: three runs at most.
    assert!(batch.runs().count() <= 3);
}

#[test]
fn the_same_moment_in_another_layer_is_another_picture() {
    let (mut stream, mut out) = (stream(None, 0), DatagramBatch::default());
    let (main, low) = (picture(2500, at(40)), picture(2500, at(40)));
    // The second in two parts, as the pacer has it.
    let last = low.payloads.len();
    for (sample, range) in [(&main, 0..main.payloads.len()), (&low, 0..1), (&low, 1..last)] {
        stream.send(sample, range, at(41), &mut out).unwrap();
    }
    let times: Vec<u32> = opened(&out, 0).iter().map(|packet| packet.timestamp).collect();
    let first = times[0];
    let (of_main, of_low) = times.split_at(main.payloads.len());
    assert!(of_main.iter().all(|time| *time == first), "{times:?}");
    assert!(of_low.iter().all(|time| *time == first + 1), "{times:?}");
}

#[test]
fn sequence_numbers_wrap_and_the_cipher_counts_on() {
    let mut rtp = stream(Some(97), 0x7ff0);
    rtp.next = 0xfff0;
    let sample = picture(30_000, at(1));
    let packets = opened(&send(&mut rtp, &sample, at(1)), 0xfff0);
    assert_eq!(packets.last().unwrap().sequence, (0xfff0 + packets.len() - 1) as u16);
    let mut batch = DatagramBatch::default();
    assert!(rtp.resend(0xffff, RTT, at(2), &mut batch).unwrap());
    assert!(rtp.resend(2, RTT, at(2), &mut batch).unwrap());
    let again = opened(&batch, rtp.next_rtx - 2);
    assert_eq!(&again[0].payload[..2], [0xff, 0xff]);
    assert_eq!(&again[1].payload[2..], packets[0x12].payload);
}

#[test]
fn a_lost_packet_is_sent_again_in_a_stream_of_its_own() {
    let (mut rtp, sample) = (stream(Some(97), 10), picture(4000, at(0)));
    let first = opened(&send(&mut rtp, &sample, at(0)), 10);
    let mut batch = DatagramBatch::default();
    assert!(rtp.resend(12, RTT, at(30), &mut batch).unwrap());
    let again = opened(&batch, rtp.next_rtx - 1);
    let [packet] = &again[..] else { panic!("{again:?}") };
    assert_eq!((packet.pt, packet.ssrc), (97, RTX_SSRC));
    assert_eq!(packet.timestamp, first[2].timestamp);
    assert_eq!(packet.payload, [&12_u16.to_be_bytes()[..], &first[2].payload].concat());
    assert_eq!(rtp.sent().retransmitted_packets, 1);
}

#[test]
fn asking_again_before_an_answer_could_be_there_is_asking_once() {
    let (mut rtp, sample) = (stream(Some(97), 10), picture(4000, at(0)));
    send(&mut rtp, &sample, at(0));
    let mut ask = |now| rtp.resend(11, RTT, at(now), &mut DatagramBatch::default()).unwrap();
    assert!(ask(30));
    assert!(!ask(31));
    assert!(!ask(50));
    assert!(ask(51));
}

#[test]
fn what_is_not_remembered_or_was_never_sent_is_not_sent_again() {
    let (mut rtp, sample) = (stream(Some(97), 10), picture(4000, at(0)));
    send(&mut rtp, &sample, at(0));
    let end = rtp.next as u16;
    let mut ask = |sequence, now| rtp.resend(sequence, RTT, at(now), &mut DatagramBatch::default());
    assert!(!ask(9, 1).unwrap(), "before the first");
    assert!(!ask(end, 1).unwrap(), "after the last");
    assert!(ask(10, 1).unwrap());
    send(&mut rtp, &picture(100, at(3000)), at(3000));
    let mut batch = DatagramBatch::default();
    assert!(!rtp.resend(10, RTT, at(3000), &mut batch).unwrap(), "three seconds ago");
    assert_eq!(batch.runs().count(), 0);
}

#[test]
fn a_viewer_that_takes_no_retransmissions_gets_none() {
    let (mut rtp, sample) = (stream(None, 10), picture(4000, at(0)));
    send(&mut rtp, &sample, at(0));
    assert!(!rtp.resend(11, RTT, at(1), &mut DatagramBatch::default()).unwrap());
}

#[test]
fn retransmissions_never_more_than_add_a_third() {
    let mut rtp = stream(Some(97), 0);
    // A megabyte within a second, and every packet asked for a dozen times.
    for i in 0..10 {
        send(&mut rtp, &picture(100_000, at(i * 90)), at(i * 90));
    }
    let sent = rtp.sent();
    for now in 900..1020 {
        for sequence in 0..sent.packets {
            rtp.resend(sequence as u16, RTT, at(now), &mut DatagramBatch::default()).unwrap();
        }
    }
    let resent = rtp.sent().retransmitted_bytes;
    assert!(resent > 0);
    assert!(resent <= sent.payload_bytes / 3 + FREE_BYTES, "{resent} of {}", sent.payload_bytes);
}

#[test]
fn a_report_tells_which_moment_a_timestamp_means_and_only_once_there_is_one() {
    let mut rtp = stream(None, 10);
    let wall = Duration::from_secs(1_800_000_000);
    let mut batch = DatagramBatch::default();
    rtp.sender_report(at(5), wall, &mut batch).unwrap();
    assert_eq!(batch.runs().count(), 0);

    let sample = picture(100, at(1000));
    send(&mut rtp, &sample, at(1010));
    rtp.sender_report(at(1500), wall, &mut batch).unwrap();
    let (report, _) = batch.runs().next().unwrap();
    assert_eq!(&report[..4], [0x80, 200, 0, 6], "a sender report");
    assert_eq!(report[4..8], SSRC.to_be_bytes());
    assert_eq!(report[16..20], (90_000 + 1000 + 45_000_u32).to_be_bytes(), "half a second later");
}

#[test]
fn without_protection_a_packet_is_header_and_payload() {
    let mut plain = parameters(None);
    plain.extensions = HeaderExtensions::default();
    let mut rtp = RtpStream::new(plain, Unprotected, 7);
    let sample = picture(10, at(0));
    let mut batch = DatagramBatch::default();
    rtp.send(&sample, 0..sample.payloads.len(), at(0), &mut batch).unwrap();
    let datagrams: Vec<&[u8]> = batch.runs().flat_map(|(b, segment)| b.chunks(segment)).collect();
    assert_eq!(datagrams.len(), sample.payloads.len());
    for (datagram, payload) in datagrams.iter().zip(&sample.payloads) {
        assert_eq!(datagram[0], 0x80, "version 2, and no extension");
        assert_eq!(&datagram[12..], [payload.head(), payload.body()].concat());
    }
}
