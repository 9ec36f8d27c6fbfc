use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::media::MediaTime;
use crate::media::h264::{NalType, SpsInfo};

const SETTINGS: EncoderSettings = EncoderSettings {
    width: 320,
    height: 240,
    fps: 30.0,
    bitrate_bps: 600_000,
    keyframe_interval: Duration::from_secs(10),
};

fn encoder(settings: EncoderSettings) -> (OpenH264, Receiver<AccessUnit>) {
    let (sink, units) = channel();
    let sink = Box::new(move |unit| sink.send(unit).expect("the test listens"));
    (OpenH264::new(settings, sink).expect("an encoder"), units)
}

/// Frame `n` of a night scene: all of it is noise.
fn noise(n: u64) -> Frame {
    grain(n, 255)
}

/// Frame `n` of noise around a middle grey, from 0 to `amplitude` strong.
fn grain(n: u64, amplitude: u8) -> Frame {
    let mut seed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let strength = u64::from(amplitude);
        (128 - strength / 2 + seed % strength) as u8
    };
    let size = (SETTINGS.width, SETTINGS.height);
    let bytes: Vec<u8> =
        (0..Frame::packed_len(PixelFormat::I420, size)).map(|_| random()).collect();
    let time = MediaTime::from_nanos(n * 33_333_333);
    Frame::packed(PixelFormat::I420, size, Arc::new(bytes), time, n).expect("a frame")
}

#[test]
fn a_noisy_scene_makes_no_key_frames_and_drops_none() {
    let (mut encoder, units) = encoder(SETTINGS);
    for n in 0..60 {
        encoder.encode(&noise(n), FrameType::Any).unwrap();
    }
    let keys: Vec<bool> = units.try_iter().map(|u| u.is_key()).collect();
    assert_eq!(keys.len(), 60);
    assert_eq!(keys.iter().filter(|k| **k).count(), 1, "{keys:?}");
}

#[test]
fn a_key_frame_comes_when_asked_for_and_when_its_time_has_come() {
    let settings = EncoderSettings { keyframe_interval: Duration::from_secs(1), ..SETTINGS };
    let (mut encoder, units) = encoder(settings);
    for n in 0..45 {
        let frame_type = if n == 10 { FrameType::Key } else { FrameType::Any };
        encoder.encode(&noise(n), frame_type).unwrap();
    }
    let keys: Vec<usize> =
        units.try_iter().enumerate().filter(|(_, u)| u.is_key()).map(|(i, _)| i).collect();
    assert_eq!(keys[..2], [0, 10]);
    assert!(keys[2] == 30 || keys[2] == 40, "{keys:?}");
}

#[test]
fn the_stream_is_constrained_baseline_at_the_level_its_size_needs() {
    let (mut encoder, units) = encoder(SETTINGS);
    encoder.encode(&noise(0), FrameType::Any).unwrap();
    let unit = units.recv().unwrap();
    let sps = unit.nals().find(|n| NalType::of(n) == NalType::Sps).unwrap();
    let info = SpsInfo::parse(sps).unwrap();
    assert_eq!((info.width, info.height), (320, 240));
    assert_eq!(info.profile_level.profile_name(), "constrained baseline");
    assert_eq!(info.profile_level.level_idc, 13);
    assert!(!info.may_reorder);
}

#[test]
fn the_rate_follows_at_once_without_a_key_frame() {
    let (mut encoder, units) = encoder(SETTINGS);
    let mut rate = |from: u64| -> (usize, usize) {
        for n in from..from + 45 {
            encoder.encode(&grain(n, 24), FrameType::Any).unwrap();
        }
        let units: Vec<AccessUnit> = units.try_iter().collect();
        let keys = units.iter().skip(1).filter(|u| u.is_key()).count();
        let settled = &units[15..];
        let bits = settled.iter().map(|u| u.bytes().len() * 8).sum::<usize>();
        if from == 0 {
            assert_eq!(encoder.set_bitrate(150_000).unwrap(), 150_000);
        }
        (bits, keys)
    };
    let (before, _) = rate(0);
    let (after, keys) = rate(45);
    assert!(after * 3 < before * 2, "{before} bits before, {after} after");
    assert_eq!(keys, 0);
}

#[test]
fn as_many_threads_work_as_the_picture_needs_and_the_machine_has() {
    for ((width, height, fps), threads) in [
        ((640, 480, 30.0), 1),
        ((1280, 720, 30.0), 1),
        ((1280, 720, 30.02), 1),
        ((1280, 720, 60.0), 2),
        ((1920, 1080, 30.0), 3),
        ((3840, 2160, 60.0), 4),
        ((0, 0, 0.0), 1),
    ] {
        assert_eq!(threads_for(width, height, fps, 8), threads, "{width}×{height} at {fps}");
        assert_eq!(threads_for(width, height, fps, 1), 1);
    }
    assert_eq!(threads_for(1920, 1080, 30.0, 2), 2);
    assert_eq!(threads_for(1920, 1080, f64::NAN, 4), 1);
}

#[test]
fn a_picture_shared_by_threads_is_one_picture_in_slices() {
    let (mut encoder, units) = encoder(SETTINGS);
    encoder.divide_into_slices(3).unwrap();
    assert!(units.try_recv().is_err(), "nobody sees how it is set up");
    let mut decoder = crate::decoder::Decoder::new().unwrap();
    for n in 0..30 {
        let frame_type = if n == 20 { FrameType::Key } else { FrameType::Any };
        encoder.encode(&grain(n, 60), frame_type).unwrap();
        let unit = units.try_recv().unwrap();
        assert_eq!(unit.is_key(), n == 0 || n == 20);
        assert_eq!(unit.nals().filter(|nal| NalType::of(nal).is_slice()).count(), 3);
        let frame = decoder.decode(&unit).unwrap().expect("a picture at once");
        assert_eq!(frame.time(), unit.time());
    }
    assert_eq!(encoder.set_bitrate(200_000).unwrap(), 200_000);
}

#[test]
fn fewer_pictures_share_the_same_rate() {
    let (mut encoder, units) = encoder(SETTINGS);
    let mut bytes = |from: u64| -> usize {
        for n in from..from + 60 {
            encoder.encode(&grain(n, 24), FrameType::Any).unwrap();
        }
        if from == 0 {
            encoder.set_fps(10.0).unwrap();
        }
        units.try_iter().skip(20).map(|unit| unit.bytes().len()).sum()
    };
    let (before, after) = (bytes(0), bytes(60));
    assert!(after > 2 * before, "{before} bytes at 30 a second, {after} at 10");
}

#[test]
fn sizes_beyond_the_library_are_refused_with_what_is_possible() {
    for (width, height) in [(321, 240), (320, 14), (4096, 2160), (2160, 3842)] {
        let settings = EncoderSettings { width, height, ..SETTINGS };
        let error = OpenH264::new(settings, Box::new(|_| {})).err().expect("refused");
        assert!(error.to_string().contains("3840×2160"), "{error}");
    }
}

#[test]
fn a_frame_of_another_size_is_an_error_not_a_crash() {
    let settings = EncoderSettings { width: 640, ..SETTINGS };
    let (mut encoder, _units) = encoder(settings);
    assert!(encoder.encode(&noise(0), FrameType::Any).is_err());
}
