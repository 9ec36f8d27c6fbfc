//! The V4L2 rooms against real drivers of a real kernel: the virtual camera (vivid), the virtual
//! codec (vicodec), and the stand-in for the Pi's encoder, in the emulated machine that
//! `scripts/test-guest` starts. Elsewhere there is nothing to test, and these say so.
#![cfg(feature = "v4l2")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use picket::camera::{Camera, CameraError, Capture, CaptureMode, Constraints};
use picket::media::{AccessUnit, Frame, MediaTime, PixelFormat};
use picket::testing::camera::v4l2::V4l2Camera;
use picket::testing::encoder::v4l2_m2m::{CodedFormat, CodedPicture, V4l2M2m, find};
use picket::testing::encoder::{Encoder, EncoderError, EncoderSettings, FrameType};
use picket::testing::transform::CopyMeter;

/// Long enough for an emulated machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Pictures that an encoder has room for at once: one more waits, and is left out when it has to
/// wait for long.
const AT_ONCE: usize = 4;

/// Enough for what is to be noticed at once, by an emulated machine that has other work.
const SOON: Duration = Duration::from_secs(10);

/// The drivers are the whole machine's: one test at a time.
static DRIVERS: Mutex<()> = Mutex::new(());

/// Freshly loaded drivers; `None` outside the guest.
fn drivers(modules: &[&str]) -> Option<MutexGuard<'static, ()>> {
    if std::env::var_os("PICKET_IN_GUEST").is_none() {
        println!("skipped: only in the guest of scripts/test-guest");
        return None;
    }
    let guard = DRIVERS.lock().unwrap_or_else(PoisonError::into_inner);
    for module in modules {
        let name = module.split(' ').next().expect("a name");
        sh(&format!("rmmod {name} 2>/dev/null; modprobe {module}"));
    }
    Some(guard)
}

fn sh(line: &str) {
    let done = Command::new("sh").args(["-c", line]).status().expect("a shell");
    assert!(done.success(), "{line}");
}

/// A parameter of the stand-in.
fn stand_in(parameter: &str, value: u32) {
    sh(&format!("echo {value} > /sys/module/bcm2835_codec_stand_in/parameters/{parameter}"));
}

const VIVID: &str = "vivid n_devs=1 node_types=0x1";
/// With memory in one piece, as a Pi's camera has.
const VIVID_CONTIGUOUS: &str = "vivid n_devs=1 node_types=0x1 allocators=1";
const VICODEC: &str = "vicodec multiplanar=1";
const STAND_IN: &str = "bcm2835-codec-stand-in key_budget=200000";

fn camera(width: u32, height: u32) -> V4l2Camera {
    let mut camera = V4l2Camera::new(Some(PathBuf::from("vivid")), CaptureMode::Decode);
    let wanted = Constraints { width: Some(width), height: Some(height), fps: Some(30.0) };
    let mode = camera.open(&wanted).expect("vivid opens");
    assert_eq!((mode.width, mode.height), (width, height), "{mode:?}");
    camera
}

fn frame(camera: &mut V4l2Camera) -> Frame {
    match camera.capture().expect("a picture") {
        Capture::Frame(frame) => frame,
        other => panic!("{other:?}"),
    }
}

fn settings(width: u32, height: u32) -> EncoderSettings {
    EncoderSettings {
        width,
        height,
        fps: 30.0,
        bitrate_bps: 2_000_000,
        keyframe_interval: Duration::from_secs(10),
    }
}

/// vicodec as an encoder, and what it makes.
fn vicodec(width: u32, height: u32) -> (V4l2M2m, Receiver<CodedPicture>, CopyMeter) {
    let node = find(CodedFormat::Fwht).expect("vicodec is there");
    let (made, pictures) = channel();
    let copies = CopyMeter::default();
    let deliver = move |picture| {
        let _ = made.send(picture);
        Ok(())
    };
    let encoder = V4l2M2m::raw(node, settings(width, height), deliver, copies.clone());
    (encoder.expect("an encoder"), pictures, copies)
}

/// The stand-in as an encoder, and what it makes.
fn pi(width: u32, height: u32) -> (V4l2M2m, Receiver<AccessUnit>, CopyMeter) {
    let node = find(CodedFormat::H264).expect("the stand-in is there");
    assert_eq!(node.driver(), "bcm2835-codec");
    let (made, units) = channel();
    let copies = CopyMeter::default();
    let sink = Box::new(move |unit| {
        let _ = made.send(unit);
    });
    let encoder = V4l2M2m::new(node, settings(width, height), sink, copies.clone());
    (encoder.expect("an encoder"), units, copies)
}

/// A picture that no camera made.
fn drawn(format: PixelFormat, width: u32, height: u32, number: u64) -> Frame {
    let mut bytes = vec![0; Frame::packed_len(format, (width, height))];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = (i as u64 / 7 + number) as u8;
    }
    let time = MediaTime::now();
    Frame::packed(format, (width, height), Arc::new(bytes), time, number).expect("a picture")
}

/// Encodes so many pictures, none of which is to be left out, and drains the encoder.
fn encode_all<T>(
    encoder: &mut V4l2M2m,
    coded: &Receiver<T>,
    number: usize,
    (format, width, height): (PixelFormat, u32, u32),
) -> usize {
    let mut out = 0;
    for n in 0..number {
        if n - out == AT_ONCE {
            coded.recv_timeout(PATIENCE).expect("coded");
            out += 1;
        }
        let frame = drawn(format, width, height, n as u64);
        encoder.encode(&frame, FrameType::Any).expect("encoded");
    }
    encoder.drain(PATIENCE).expect("drained");
    out + coded.try_iter().count()
}

#[test]
fn hundreds_of_pictures_go_from_camera_to_codec_without_a_copy() {
    let Some(_drivers) = drivers(&[VIVID, VICODEC]) else { return };
    let mut camera = camera(640, 480);
    let (mut encoder, pictures, copies) = vicodec(640, 480);
    let mut times = Vec::new();
    for _ in 0..300 {
        let frame = frame(&mut camera);
        assert!(frame.memory().dmabuf().is_some(), "vivid exports its buffers");
        times.push(frame.time());
        encoder.encode(&frame, FrameType::Any).expect("encoded");
    }
    encoder.drain(PATIENCE).expect("drained");
    let coded: Vec<MediaTime> = pictures.try_iter().map(|picture| picture.time).collect();
    assert_eq!(copies.bytes(), 0);
    assert!(coded.iter().all(|time| times.contains(time)), "times are the pictures' own");
    assert!(coded.is_sorted());
    // A picture may be skipped while the emulated codec is behind.
    assert!(coded.len() >= 200, "{} of 300", coded.len());
}

#[test]
fn a_picture_whose_rows_do_not_suit_the_codec_is_copied_into_place() {
    let Some(_drivers) = drivers(&[VIVID, VICODEC]) else { return };
    // vicodec wants 368 lines of a picture of 360, and refuses a shorter buffer.
    let (mut encoder, pictures, copies) = vicodec(640, 360);
    let mut camera = camera(640, 360);
    for _ in 0..30 {
        encoder.encode(&frame(&mut camera), FrameType::Any).expect("encoded");
    }
    encoder.drain(PATIENCE).expect("drained");
    assert!(pictures.try_iter().count() >= 20);
    assert!(copies.bytes() > 0);
}

#[test]
fn every_size_and_format_goes_through() {
    let Some(_drivers) = drivers(&[VICODEC]) else { return };
    for (width, height) in [(640, 480), (640, 360), (1280, 720), (322, 242), (32, 32)] {
        for format in [PixelFormat::I420, PixelFormat::Nv12] {
            let (mut encoder, pictures, _) = vicodec(width, height);
            let coded = encode_all(&mut encoder, &pictures, 5, (format, width, height));
            assert_eq!(coded, 5, "{width}×{height} {format}");
        }
    }
}

#[test]
fn after_a_drain_it_starts_again() {
    let Some(_drivers) = drivers(&[VICODEC]) else { return };
    let (mut encoder, pictures, _) = vicodec(640, 480);
    for round in 0..5 {
        let coded = encode_all(&mut encoder, &pictures, 10, (PixelFormat::Nv12, 640, 480));
        assert_eq!(coded, 10, "round {round}");
    }
}

#[test]
fn what_a_driver_does_not_have_it_does_without() {
    let Some(_drivers) = drivers(&[VICODEC]) else { return };
    // No bit rate, no key frames on demand, no frame rate.
    let (mut encoder, pictures, _) = vicodec(640, 480);
    let mut code = |kind| {
        encoder.encode(&drawn(PixelFormat::Nv12, 640, 480, 0), kind).expect("encoded");
    };
    code(FrameType::Any);
    code(FrameType::Key);
    code(FrameType::Any);
    assert!(matches!(encoder.set_bitrate(1_000_000), Err(EncoderError::Unsupported(_))));
    let frame = drawn(PixelFormat::Nv12, 640, 480, 1);
    encoder.encode(&frame, FrameType::Any).expect("encoded");
    encoder.drain(PATIENCE).expect("drained");
    assert!(pictures.try_iter().count() >= 2);
}

#[test]
fn a_codec_that_is_let_go_in_the_middle_gives_every_picture_back() {
    let Some(_drivers) = drivers(&[VICODEC]) else { return };
    for _ in 0..20 {
        let (mut encoder, _, _) = vicodec(640, 480);
        let frame = drawn(PixelFormat::Nv12, 640, 480, 0);
        for _ in 0..3 {
            encoder.encode(&frame, FrameType::Any).expect("encoded");
        }
        drop(encoder);
        assert_eq!(Arc::strong_count(frame.memory()), 1, "somebody holds the picture");
    }
}

#[test]
fn a_damaged_picture_is_left_out_and_the_next_one_shown() {
    let Some(_drivers) = drivers(&[VIVID]) else { return };
    let mut camera = camera(640, 480);
    frame(&mut camera);
    sh("v4l2-ctl -d $(ls /dev/video* | head -1) --set-ctrl=percentage_of_dropped_buffers=50");
    let first = frame(&mut camera).time();
    for _ in 0..30 {
        assert!(frame(&mut camera).time() > first);
    }
    sh("v4l2-ctl -d $(ls /dev/video* | head -1) --set-ctrl=inject_v4l2_buf_flag_error=1");
    for _ in 0..10 {
        frame(&mut camera);
    }
}

#[test]
fn a_camera_that_was_taken_away_is_lost_at_once_and_found_again() {
    let Some(_drivers) = drivers(&[VIVID]) else { return };
    let mut camera = camera(640, 480);
    frame(&mut camera);
    sh("v4l2-ctl -d $(ls /dev/video* | head -1) --set-ctrl=disconnect=1");
    let unplugged = Instant::now();
    let error = loop {
        match camera.capture() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, CameraError::Lost(_)), "{error}");
    assert!(unplugged.elapsed() < SOON, "{:?}", unplugged.elapsed());
    camera.stop();
    drop(camera);
    sh("echo vivid.0 > /sys/bus/platform/drivers/vivid/unbind");
    let mut camera = V4l2Camera::new(Some(PathBuf::from("vivid")), CaptureMode::Decode);
    let gone = camera.open(&Constraints::default()).expect_err("it is away");
    assert!(matches!(gone, CameraError::NotFound(_)), "{gone}");
    sh("echo vivid.0 > /sys/bus/platform/drivers/vivid/bind");
    camera.open(&Constraints::default()).expect("it is back");
    frame(&mut camera);
}

#[test]
fn pictures_outlive_their_camera() {
    let Some(_drivers) = drivers(&[VIVID]) else { return };
    let mut camera = camera(640, 480);
    let held = frame(&mut camera);
    let before = held.plane(0).to_vec();
    for _ in 0..20 {
        frame(&mut camera);
    }
    assert!(held.plane(0) == before, "a picture in use was painted over");
    camera.stop();
    camera.open(&Constraints::default()).expect("open again while a picture is held");
    frame(&mut camera);
    assert!(held.plane(0) == before);
}

#[test]
fn the_stand_in_for_the_pi_codes_what_the_camera_sees_without_a_copy() {
    let Some(_drivers) = drivers(&[VIVID_CONTIGUOUS, STAND_IN]) else { return };
    let mut camera = camera(640, 480);
    let (mut encoder, units, copies) = pi(640, 480);
    for _ in 0..200 {
        encoder.encode(&frame(&mut camera), FrameType::Any).expect("encoded");
    }
    encoder.drain(PATIENCE).expect("drained");
    let units: Vec<AccessUnit> = units.try_iter().collect();
    assert!(units.len() >= 150, "{} of 200", units.len());
    assert!(units[0].is_key());
    assert_eq!(copies.bytes(), 0);
}

#[test]
fn a_key_frame_comes_with_the_next_picture_and_a_rate_is_rounded() {
    let Some(_drivers) = drivers(&[STAND_IN]) else { return };
    let (mut encoder, units, _) = pi(320, 240);
    let mut code = |kind| {
        let frame = drawn(PixelFormat::Nv12, 320, 240, 0);
        encoder.encode(&frame, kind).expect("encoded");
        units.recv_timeout(PATIENCE).expect("coded").is_key()
    };
    assert!(code(FrameType::Any), "the first");
    assert!(!code(FrameType::Any));
    assert!(code(FrameType::Key), "on demand");
    assert!(!code(FrameType::Any));
    assert_eq!(encoder.set_bitrate(1_010_000).expect("set"), 1_000_000);
}

#[test]
fn skipped_and_damaged_pictures_do_not_hold_up_the_rest() {
    let Some(_drivers) = drivers(&[STAND_IN]) else { return };
    stand_in("skip_every", 3);
    let (mut encoder, units, _) = pi(320, 240);
    let mut times = Vec::new();
    for number in 0..60 {
        let frame = drawn(PixelFormat::I420, 320, 240, number);
        times.push(frame.time());
        encoder.encode(&frame, FrameType::Any).expect("encoded");
    }
    encoder.drain(PATIENCE).expect("drained");
    let got: Vec<MediaTime> = units.try_iter().map(|unit| unit.time()).collect();
    assert!((30..=50).contains(&got.len()), "{} of 60 with every third skipped", got.len());
    assert!(got.iter().all(|time| times.contains(time)), "times are the pictures' own");

    stand_in("skip_every", 0);
    stand_in("error_every", 5);
    let (mut encoder, units, _) = pi(320, 240);
    for number in 0..20 {
        let frame = drawn(PixelFormat::I420, 320, 240, number);
        encoder.encode(&frame, FrameType::Any).expect("encoded");
    }
    encoder.drain(PATIENCE).expect("drained");
    let keys = units.try_iter().filter(AccessUnit::is_key).count();
    assert!(keys >= 2, "after a damaged picture comes a key frame, {keys} in all");
}

#[test]
fn a_stuck_encoder_is_told_soon_and_the_next_one_works() {
    let Some(_drivers) = drivers(&[STAND_IN]) else { return };
    for round in 0..3 {
        let (mut encoder, units, _) = pi(320, 240);
        let code = |encoder: &mut V4l2M2m| {
            encoder.encode(&drawn(PixelFormat::Nv12, 320, 240, 0), FrameType::Any)
        };
        code(&mut encoder).expect("encoded");
        units.recv_timeout(PATIENCE).expect("coded");
        stand_in("stick", 1);
        let stuck = Instant::now();
        // Three seconds are promised, of a machine that is not emulated.
        let error = loop {
            if let Err(error) = code(&mut encoder) {
                break error;
            }
            std::thread::sleep(Duration::from_millis(33));
        };
        assert!(error.to_string().contains("stuck"), "round {round}: {error}");
        assert!(stuck.elapsed() < SOON, "{:?}", stuck.elapsed());
        // The same encoder starts a new session with the next picture.
        code(&mut encoder).expect("encoded");
        assert!(units.recv_timeout(PATIENCE).expect("coded").is_key());
    }
}

#[test]
fn a_picture_larger_than_its_buffer_costs_a_picture_and_no_more() {
    // Exact key frames of noise do not fit in a megabyte.
    let Some(_drivers) = drivers(&["bcm2835-codec-stand-in budget=100000000"]) else { return };
    let (mut encoder, units, _) = pi(1280, 720);
    let mut got = 0;
    for number in 0..20 {
        let frame = drawn(PixelFormat::Nv12, 1280, 720, number);
        encoder.encode(&frame, FrameType::Any).expect("encoded");
        got += usize::from(units.recv_timeout(Duration::from_secs(2)).is_ok());
    }
    assert!(got >= 10, "{got} of 20");
}

#[test]
fn headers_that_come_once_are_put_before_every_key_frame() {
    let Some(_drivers) = drivers(&[STAND_IN]) else { return };
    let (mut encoder, units, _) = pi(320, 240);
    for _ in 0..3 {
        let frame = drawn(PixelFormat::Nv12, 320, 240, 0);
        encoder.encode(&frame, FrameType::Key).expect("encoded");
        let unit = units.recv_timeout(PATIENCE).expect("coded");
        assert!(unit.is_key() && unit.nals().count() >= 3, "{unit:?}");
    }
}

#[test]
fn contiguous_memory_is_asked_of_no_camera_that_has_none() {
    // The stand-in refuses scattered memory when the picture is queued, as the Pi's driver does.
    let Some(_drivers) = drivers(&[VIVID, STAND_IN]) else { return };
    let mut camera = camera(640, 480);
    let (mut encoder, units, copies) = pi(640, 480);
    for _ in 0..20 {
        encoder.encode(&frame(&mut camera), FrameType::Any).expect("encoded");
    }
    encoder.drain(PATIENCE).expect("drained");
    assert!(units.try_iter().count() >= 10);
    assert!(copies.bytes() > 0, "it was copied instead");
}
