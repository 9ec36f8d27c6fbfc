//! `source = "file:…"` from the outside: real and awkward clips, see `tests/media/README.md`.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::clip::FakeClock;
use picket::camera::{Camera, CameraError, Capture, CaptureMode, Constraints, Mode};
use picket::media::h264::{NalType, nal_ranges};
use picket::media::{AccessUnit, Frame, MediaTime};
use picket::testing::camera::file::FileCamera;
use picket::testing::decoder::Decoder;

fn media(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/media").join(name)
}

/// A file that is gone when the test is over.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let name = format!("picket-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn opened(path: &Path, mode: CaptureMode) -> Result<(FileCamera, Mode), CameraError> {
    let mut camera = FileCamera::with_clock(path, mode, Box::new(FakeClock::default()));
    let mode = camera.open(&Constraints::default())?;
    Ok((camera, mode))
}

/// What opening the file is refused with.
fn refusal(path: &Path, mode: CaptureMode) -> String {
    match opened(path, mode) {
        Ok((_, mode)) => panic!("{} was opened: {mode:?}", path.display()),
        Err(e) => e.to_string(),
    }
}

fn units(camera: &mut FileCamera, n: usize) -> Vec<AccessUnit> {
    let unit = |_| match camera.capture().unwrap() {
        Capture::AccessUnit(unit) => unit,
        other => panic!("expected an access unit, got {other:?}"),
    };
    (0..n).map(unit).collect()
}

fn frames(camera: &mut FileCamera, n: usize) -> Vec<Frame> {
    let frame = |_| match camera.capture().unwrap() {
        Capture::Frame(frame) => frame,
        other => panic!("expected a frame, got {other:?}"),
    };
    (0..n).map(frame).collect()
}

/// Milliseconds between one picture and the next.
fn intervals(times: impl Iterator<Item = MediaTime>) -> Vec<u64> {
    let times: Vec<MediaTime> = times.collect();
    let millis = |w: &[MediaTime]| (w[1].since(w[0]).as_nanos() as f64 / 1e6).round() as u64;
    times.windows(2).map(millis).collect()
}

fn pixels(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    for plane in 0..3 {
        let row = (frame.width() as usize).div_ceil(if plane == 0 { 1 } else { 2 });
        for line in frame.plane(plane).chunks(frame.stride(plane)) {
            bytes.extend_from_slice(&line[..row]);
        }
    }
    bytes
}

/// Whether these are the pictures that ffmpeg shows, in its order: see `means` in `make.sh`. The
/// last bit may differ, because OpenH264 rounds B-frames otherwise.
fn assert_as_ffmpeg_shows(clip: &str, frames: &[Frame]) {
    let means = std::fs::read(media(clip).with_extension("means")).unwrap();
    assert_eq!(means.len(), frames.len() * 16);
    for (i, (frame, means)) in frames.iter().zip(means.chunks(16)).enumerate() {
        for (block, &mean) in means.iter().enumerate() {
            let ours = mean_of_block(frame, block % 4, block / 4);
            assert!(
                (ours - f64::from(mean)).abs() < 1.0,
                "{clip}: block {block} of picture {i} is {ours} and should be {mean}"
            );
        }
    }
}

fn mean_of_block(frame: &Frame, column: usize, row: usize) -> f64 {
    let (w, h) = (frame.width() as usize / 4, frame.height() as usize / 4);
    let lines = frame.plane(0).chunks(frame.stride(0)).skip(row * h).take(h);
    let sum: u64 = lines.flat_map(|l| &l[column * w..][..w]).map(|&b| u64::from(b)).sum();
    sum as f64 / (w * h) as f64
}

fn assert_mode(mode: Mode, width: u32, height: u32, fps: f64) {
    assert_eq!((mode.width, mode.height), (width, height));
    assert!((mode.fps - fps).abs() < 0.01, "{} instead of {fps}", mode.fps);
}

// Passing through.

#[test]
fn every_container_gives_the_same_pictures() {
    let nals = |unit: &AccessUnit| unit.nals().map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (mut raw, mode) = opened(&media("plain.h264"), CaptureMode::PassThrough).unwrap();
    assert_mode(mode, 160, 120, 25.0);
    let raw = units(&mut raw, 30);
    for name in ["plain.mp4", "plain.mov", "index_first.mp4", "fragmented.mp4", "fragment_each.mp4"]
    {
        let (mut camera, mode) = opened(&media(name), CaptureMode::PassThrough).unwrap();
        assert_mode(mode, 160, 120, 25.0);
        for (i, (unit, raw)) in units(&mut camera, 30).iter().zip(&raw).enumerate() {
            assert!(nals(unit) == nals(raw), "picture {i} of {name} differs");
            assert_eq!(unit.time(), raw.time(), "{name}");
        }
    }
}

#[test]
fn a_clip_goes_on_without_a_break_where_it_starts_again() {
    let (mut camera, _) = opened(&media("plain.mp4"), CaptureMode::PassThrough).unwrap();
    let units = units(&mut camera, 36);
    let keys: Vec<usize> = (0..36).filter(|&i| units[i].is_key()).collect();
    assert_eq!(keys, [0, 6, 12, 18, 24, 30]);
    assert_eq!(intervals(units.iter().map(AccessUnit::time)), [40; 35]);
}

#[test]
fn every_key_frame_can_be_joined_although_the_file_keeps_its_parameter_sets_elsewhere() {
    let (mut camera, _) = opened(&media("plain.mp4"), CaptureMode::PassThrough).unwrap();
    for unit in units(&mut camera, 24).iter().filter(|u| u.is_key()) {
        let kinds: Vec<NalType> = unit.nals().map(NalType::of).take(2).collect();
        assert_eq!(kinds, [NalType::Sps, NalType::Pps]);
        let mut decoder = Decoder::new().unwrap();
        assert!(decoder.decode(unit).unwrap().is_some());
    }
}

#[test]
fn a_raw_stream_with_parameter_sets_at_its_head_alone_can_be_joined_at_every_key_frame() {
    let bytes = std::fs::read(media("plain.h264")).unwrap();
    let mut nals: Vec<&[u8]> = nal_ranges(&bytes).map(|r| &bytes[r]).collect();
    let before = nals.len();
    keep_first_sets(&mut nals);
    assert!(nals.len() < before);
    let file = TempFile::new("bare.h264", &stream(&nals));
    let (mut camera, _) = opened(&file.0, CaptureMode::PassThrough).unwrap();
    let units = units(&mut camera, 12);
    assert!(units[6].is_key());
    assert_eq!(units[6].nals().map(NalType::of).next(), Some(NalType::Sps));
}

#[test]
fn a_picture_in_several_slices_stays_one_unit() {
    let (mut camera, mode) = opened(&media("slices.h264"), CaptureMode::PassThrough).unwrap();
    assert_mode(mode, 160, 120, 25.0);
    let units = units(&mut camera, 13);
    for unit in &units {
        assert_eq!(unit.nals().filter(|n| NalType::of(n).is_slice()).count(), 4);
    }
    assert!(units[12].is_key());
}

/// A raw stream of these NAL units.
fn stream(nals: &[&[u8]]) -> Vec<u8> {
    nals.iter().flat_map(|nal| [&[0, 0, 0, 1], *nal].concat()).collect()
}

/// Leaves only the SPS and PPS at the head of the stream.
fn keep_first_sets(nals: &mut Vec<&[u8]>) {
    let mut sets = 0;
    nals.retain(|nal| {
        let is_set = matches!(NalType::of(nal), NalType::Sps | NalType::Pps);
        sets += usize::from(is_set);
        !is_set || sets <= 2
    });
}

#[test]
fn key_frames_that_all_bear_the_same_number_are_still_told_apart() {
    let bytes = std::fs::read(media("plain.h264")).unwrap();
    let nals: Vec<&[u8]> = nal_ranges(&bytes).map(|r| &bytes[r]).collect();
    let of = |kind| *nals.iter().find(|n| NalType::of(n) == kind).unwrap();
    let (sps, pps, idr) = (of(NalType::Sps), of(NalType::Pps), of(NalType::Idr));
    let file = TempFile::new("all-key.h264", &stream(&[sps, pps, idr, idr, idr]));
    let (mut camera, _) = opened(&file.0, CaptureMode::PassThrough).unwrap();
    let units = units(&mut camera, 7);
    for unit in &units {
        assert_eq!(unit.nals().collect::<Vec<_>>(), [sps, pps, idr]);
    }
    assert_eq!(intervals(units.iter().map(AccessUnit::time)), [40; 6]);
}

#[test]
fn pictures_before_the_first_key_frame_are_left_out() {
    let bytes = std::fs::read(media("plain.h264")).unwrap();
    let mut nals: Vec<&[u8]> = nal_ranges(&bytes).map(|r| &bytes[r]).collect();
    let first_key = nals.iter().position(|n| NalType::of(n) == NalType::Idr);
    nals.remove(first_key.unwrap());
    keep_first_sets(&mut nals);
    let file = TempFile::new("late-key.h264", &stream(&nals));
    let (mut camera, _) = opened(&file.0, CaptureMode::PassThrough).unwrap();
    let units = units(&mut camera, 12);
    let keys: Vec<usize> = (0..12).filter(|&i| units[i].is_key()).collect();
    assert_eq!(keys, [0, 6]);
}

#[test]
fn uneven_timestamps_are_kept() {
    let (mut camera, mode) = opened(&media("uneven.mp4"), CaptureMode::PassThrough).unwrap();
    let units = units(&mut camera, 12);
    // Pictures 1 2 4 5 7 8 10 11 13 of a source of 25 a second, then 1 again.
    let first = intervals(units.iter().map(AccessUnit::time));
    assert_eq!(first[..8], [40, 80, 40, 80, 40, 80, 40, 80]);
    assert_eq!(first[9..], [40, 80]);
    assert_mode(mode, 160, 120, 9.0 / (0.48 + first[8] as f64 / 1e3));
}

#[test]
fn sound_and_the_shape_of_the_picture_do_not_matter() {
    for (name, width, height) in
        [("audio.mp4", 160, 120), ("crop.mp4", 638, 358), ("hd.mp4", 1920, 1080)]
    {
        for file_mode in [CaptureMode::PassThrough, CaptureMode::Decode] {
            let (mut camera, mode) = opened(&media(name), file_mode).unwrap();
            assert_mode(mode, width, height, 25.0);
            match camera.capture().unwrap() {
                Capture::AccessUnit(unit) => assert!(unit.is_key()),
                Capture::Frame(f) => assert_eq!((f.width(), f.height()), (width, height)),
                Capture::End => panic!("{name} ended"),
            }
        }
    }
}

#[test]
fn a_raw_stream_without_a_rate_gets_the_one_that_is_wanted() {
    let (_, stated) = opened(&media("plain.h264"), CaptureMode::PassThrough).unwrap();
    assert_mode(stated, 160, 120, 25.0);
    // OpenH264 writes no timing into its parameter sets.
    let file = TempFile::new("no-rate.h264", &openh264_stream());
    for (wanted, fps) in [(None, 30.0), (Some(12.5), 12.5), (Some(f64::NAN), 30.0)] {
        let mut camera = FileCamera::new(&file.0, CaptureMode::PassThrough);
        let wanted = Constraints { fps: wanted, ..Constraints::default() };
        assert_mode(camera.open(&wanted).unwrap(), 64, 48, fps);
    }
}

fn openh264_stream() -> Vec<u8> {
    use picket::media::PixelFormat;
    use picket::testing::encoder::openh264::OpenH264;
    use picket::testing::encoder::{Encoder, EncoderSettings, FrameType};
    use std::sync::Mutex;

    let settings = EncoderSettings {
        width: 64,
        height: 48,
        fps: 30.0,
        bitrate_bps: 100_000,
        keyframe_interval: Duration::from_secs(1),
    };
    let stream = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&stream);
    let append = move |unit: AccessUnit| sink.lock().unwrap().extend_from_slice(unit.bytes());
    let mut encoder = OpenH264::new(settings, Box::new(append)).unwrap();
    for i in 0..5 {
        let pixels = Arc::new(vec![40 * i as u8; 64 * 48 * 3 / 2]);
        let time = MediaTime::from_nanos(i * 33_000_000);
        let frame = Frame::packed(PixelFormat::I420, (64, 48), pixels, time, i).unwrap();
        encoder.encode(&frame, FrameType::Any).unwrap();
    }
    drop(encoder);
    let stream = stream.lock().unwrap();
    stream.clone()
}

#[test]
fn a_clip_can_be_opened_again_and_begins_at_its_beginning() {
    let (mut camera, mode) = opened(&media("plain.mp4"), CaptureMode::PassThrough).unwrap();
    units(&mut camera, 3);
    camera.stop();
    camera.stop();
    assert!(matches!(camera.capture(), Err(CameraError::Lost(_))));
    assert_eq!(camera.open(&Constraints::default()).unwrap(), mode);
    assert!(units(&mut camera, 1)[0].is_key());
}

#[test]
fn real_footage_is_passed_through_and_decodes() {
    let (mut camera, mode) = opened(&media("bunny.mp4"), CaptureMode::PassThrough).unwrap();
    assert_mode(mode, 1280, 720, 25.0);
    let units = units(&mut camera, 10);
    let mut decoder = Decoder::new().unwrap();
    let mut shown: Vec<Frame> = Vec::new();
    for unit in &units {
        shown.extend(decoder.decode(unit).unwrap());
    }
    shown.extend(decoder.flush());
    let times: Vec<MediaTime> = shown.iter().map(Frame::time).collect();
    assert_eq!(times, units.iter().map(AccessUnit::time).collect::<Vec<_>>());
    assert_as_ffmpeg_shows("bunny.mp4", &shown);
}

// Decoding.

#[test]
fn real_footage_with_b_frames_comes_out_as_another_decoder_shows_it() {
    for (name, count, fps) in [("bikes.mp4", 76, 25.0), ("carphone.mp4", 16, 30_000.0 / 1001.0)] {
        let (mut camera, mode) = opened(&media(name), CaptureMode::PassThrough).unwrap();
        assert!((mode.fps - fps).abs() < 0.01, "{mode:?}");
        let shown = frames(&mut camera, 2 * count + 5);
        assert_as_ffmpeg_shows(name, &shown[..count]);
        assert_as_ffmpeg_shows(name, &shown[count..2 * count]);
        let interval = (1e3 / fps).round() as u64;
        assert_eq!(
            intervals(shown.iter().map(Frame::time)),
            vec![interval; 2 * count + 4],
            "{name}"
        );
        let sequence: Vec<u64> = shown.iter().map(Frame::sequence).collect();
        assert_eq!(sequence, (0..2 * count as u64 + 5).collect::<Vec<_>>());
    }
}

#[test]
fn a_raw_stream_with_b_frames_is_shown_in_the_same_order_as_in_mp4() {
    let (mut raw, mode) = opened(&media("bframes.h264"), CaptureMode::PassThrough).unwrap();
    assert_mode(mode, 160, 120, 25.0);
    let (mut mp4, _) = opened(&media("bframes.mp4"), CaptureMode::PassThrough).unwrap();
    let (raw, mp4) = (frames(&mut raw, 30), frames(&mut mp4, 30));
    assert_eq!(intervals(raw.iter().map(Frame::time)), [40; 29]);
    for (a, b) in raw.iter().zip(&mp4) {
        assert_eq!(a.time(), b.time());
        assert_eq!(pixels(a), pixels(b));
    }
}

#[test]
fn what_is_decoded_on_demand_is_what_would_have_been_passed_through() {
    let (mut camera, _) = opened(&media("plain.mp4"), CaptureMode::Decode).unwrap();
    let (mut coded, _) = opened(&media("plain.mp4"), CaptureMode::PassThrough).unwrap();
    let mut decoder = Decoder::new().unwrap();
    for (frame, unit) in frames(&mut camera, 20).iter().zip(units(&mut coded, 20)) {
        assert_eq!(frame.time(), unit.time());
        let expected = decoder.decode(&unit).unwrap().unwrap();
        assert_eq!(pixels(frame), pixels(&expected));
    }
}

#[test]
fn a_decoder_that_joins_late_waits_for_a_key_frame_and_survives_damage() {
    let (mut camera, _) = opened(&media("plain.mp4"), CaptureMode::PassThrough).unwrap();
    let units = units(&mut camera, 12);
    let mut decoder = Decoder::new().unwrap();
    for unit in &units[1..6] {
        assert!(decoder.decode(unit).unwrap().is_none());
    }
    assert!(decoder.decode(&units[6]).unwrap().is_some());
    // Half of a picture.
    let half = units[7].bytes().slice(..units[7].bytes().len() / 2);
    let damaged = AccessUnit::from_annex_b(half, units[7].time(), &mut Default::default()).unwrap();
    assert!(decoder.decode(&damaged).is_err());
    // What refers to the damaged picture is not shown; the next key frame is.
    assert!(decoder.decode(&units[8]).unwrap().is_none());
    let again = decoder.decode(&units[0]).unwrap().unwrap();
    let mut fresh = Decoder::new().unwrap();
    let expected = fresh.decode(&units[0]).unwrap().unwrap();
    assert_eq!(pixels(&again), pixels(&expected));
}

#[test]
fn a_turned_clip_comes_out_upright() {
    for file_mode in [CaptureMode::PassThrough, CaptureMode::Decode] {
        let (mut turned, mode) = opened(&media("turned.mp4"), file_mode).unwrap();
        assert_mode(mode, 120, 160, 25.0);
        let (mut plain, _) = opened(&media("plain.mp4"), CaptureMode::Decode).unwrap();
        for (turned, plain) in frames(&mut turned, 14).iter().zip(frames(&mut plain, 14)) {
            assert_eq!(turned.time(), plain.time());
            // Three quarters clockwise: the right column becomes the first row.
            for x in 0..120 {
                let right = plain.plane(0)[x * plain.stride(0) + 159];
                assert_eq!(turned.plane(0)[x], right);
            }
        }
    }
}

#[test]
fn what_the_container_asks_for_is_done() {
    let (mut camera, mode) = opened(&media("asks.mp4"), CaptureMode::PassThrough).unwrap();
    // Nine of twelve pictures are left; 160 pixels are as wide as 213, and turned.
    assert_mode(mode, 120, 214, 25.0);
    let shown = frames(&mut camera, 20);
    assert_eq!(intervals(shown.iter().map(Frame::time)), [40; 19]);
    assert_eq!(pixels(&shown[0]), pixels(&shown[9]));
    assert_ne!(pixels(&shown[0]), pixels(&shown[8]));
    let black = shown[0].plane(0).iter().min();
    assert!(black >= Some(&16), "{black:?}");
}

// Files that are cut short.

#[test]
fn a_file_cut_short_plays_what_is_there_and_starts_again() {
    let whole = std::fs::read(media("index_first.mp4")).unwrap();
    let file = TempFile::new("cut.mp4", &whole[..whole.len() - 300]);
    for mode in [CaptureMode::PassThrough, CaptureMode::Decode] {
        let (mut camera, _) = opened(&file.0, mode).unwrap();
        let mut times = Vec::new();
        for _ in 0..30 {
            times.push(match camera.capture().unwrap() {
                Capture::AccessUnit(unit) => unit.time(),
                Capture::Frame(frame) => frame.time(),
                Capture::End => panic!("a clip has no end"),
            });
        }
        assert_eq!(intervals(times.into_iter()), [40; 29]);
    }
}

#[test]
fn a_fragmented_recording_cut_anywhere_plays_or_says_why_not() {
    let whole = std::fs::read(media("fragment_each.mp4")).unwrap();
    let mut most = 0;
    for len in (0..whole.len()).step_by(97) {
        let file = TempFile::new("fragments.mp4", &whole[..len]);
        if let Ok((mut camera, _)) = opened(&file.0, CaptureMode::PassThrough) {
            let keys = units(&mut camera, 40).iter().filter(|u| u.is_key()).count();
            most = most.max(keys);
        }
    }
    // The shortest that plays at all is one key frame over and over.
    assert_eq!(most, 40);
}

#[test]
fn a_file_that_shrinks_while_it_is_played_is_a_lost_camera() {
    let whole = std::fs::read(media("plain.mp4")).unwrap();
    let file = TempFile::new("shrinks.mp4", &whole);
    let (mut camera, _) = opened(&file.0, CaptureMode::PassThrough).unwrap();
    units(&mut camera, 1);
    std::fs::write(&file.0, &whole[..200]).unwrap();
    let error = (0..12).find_map(|_| camera.capture().err()).unwrap();
    assert!(error.to_string().contains("became shorter"), "{error}");
}

// What cannot be played.

#[test]
fn a_refusal_names_what_was_found_and_what_to_do() {
    for (name, found, help) in [
        ("hevc.mp4", "H.265 (HEVC)", "ffmpeg"),
        ("sound_only.m4a", "only sound", "no video"),
        ("interlaced.mp4", "interlaced", "yadif"),
        ("yuv422.mp4", "4:2:0", "format=yuv420p"),
        ("no_idr.mp4", "no IDR picture", "ffmpeg"),
        ("README.md", "text", "must be an MP4"),
    ] {
        for mode in [CaptureMode::PassThrough, CaptureMode::Decode] {
            let message = refusal(&media(name), mode);
            assert!(message.contains(name), "{message}");
            assert!(message.contains(found), "{message}");
            assert!(message.contains(help), "{message}");
        }
    }
}

#[test]
fn b_frames_without_times_of_showing_are_refused() {
    let mut bytes = std::fs::read(media("bframes.mp4")).unwrap();
    let table = bytes.windows(4).position(|w| w == b"ctts").unwrap();
    bytes[table..table + 4].copy_from_slice(b"free");
    let file = TempFile::new("no-times.mp4", &bytes);
    let message = refusal(&file.0, CaptureMode::PassThrough);
    assert!(message.contains("another order than they are shown in"), "{message}");
}

#[test]
fn a_file_without_its_index_says_so() {
    let whole = std::fs::read(media("plain.mp4")).unwrap();
    for len in [40, whole.len() / 2, whole.len() - 1] {
        let file = TempFile::new(&format!("no-index-{len}.mp4"), &whole[..len]);
        let message = refusal(&file.0, CaptureMode::PassThrough);
        assert!(message.contains("the file ends before its index (moov)"), "{message}");
    }
}

#[test]
fn things_that_are_no_files_are_told_apart() {
    let missing = refusal(&media("nothing.mp4"), CaptureMode::PassThrough);
    assert!(missing.contains("there is no file"), "{missing}");
    let directory = refusal(&media(""), CaptureMode::PassThrough);
    assert!(directory.contains("is a directory"), "{directory}");
    let empty = TempFile::new("empty.mp4", b"");
    let empty = refusal(&empty.0, CaptureMode::PassThrough);
    assert!(empty.contains("is empty"), "{empty}");
    #[cfg(unix)]
    {
        let device = refusal(Path::new("/dev/zero"), CaptureMode::PassThrough);
        assert!(device.contains("not a plain file"), "{device}");
    }
}
