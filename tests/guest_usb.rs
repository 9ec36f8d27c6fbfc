//! Cameras that compress their pictures, as USB cameras do: Motion JPEG and H.264, by way of the real
//! V4L2 API. The driver is `v4l2loopback`, which shows what a program writes as a camera; the pictures
//! are written here. In the emulated machine that `scripts/test-guest` starts; elsewhere there is
//! nothing to test, and these say so.
#![cfg(feature = "v4l2")]

use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use picket::camera::{Camera, CameraError, Capture, CaptureMode, Constraints};
use picket::media::h264::{NalType, SpsInfo, nal_ranges};
use picket::media::{AccessUnit, Frame, PixelFormat};
use picket::testing::camera::v4l2::V4l2Camera;
use v4l::video::Output;
use v4l::{Device, Format, FourCC};

/// Long enough for an emulated machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the camera is called.
const CARD: &str = "Picket-loopback";

const SIZE: (u32, u32) = (320, 240);

/// The driver is the whole machine's: one test at a time.
static DRIVER: Mutex<()> = Mutex::new(());

/// The driver, freshly loaded; `None` outside the guest.
fn driver() -> Option<MutexGuard<'static, ()>> {
    if std::env::var_os("PICKET_IN_GUEST").is_none() {
        println!("skipped: only in the guest of scripts/test-guest");
        return None;
    }
    let guard = DRIVER.lock().unwrap_or_else(PoisonError::into_inner);
    let line = format!(
        "rmmod v4l2loopback 2>/dev/null; \
         modprobe v4l2loopback devices=1 max_buffers=8 exclusive_caps=0 card_label={CARD}"
    );
    let done = Command::new("sh").args(["-c", &line]).status().expect("a shell");
    assert!(done.success(), "{line}");
    Some(guard)
}

/// The node that the driver made.
fn node() -> PathBuf {
    let until = Instant::now() + PATIENCE;
    loop {
        let entries = std::fs::read_dir("/sys/class/video4linux").into_iter().flatten().flatten();
        for entry in entries {
            let name = std::fs::read_to_string(entry.path().join("name")).unwrap_or_default();
            let node = PathBuf::from("/dev").join(entry.file_name());
            if name.trim() == CARD && node.exists() {
                return node;
            }
        }
        assert!(Instant::now() < until, "there is no {CARD}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The inside of a camera: writes buffer after buffer, in a loop, until it is dropped.
struct Sensor {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sensor {
    fn start(code: &[u8; 4], (width, height): (u32, u32), buffers: Vec<Vec<u8>>) -> Self {
        let mut device = Device::with_path(node()).expect("the driver's node opens");
        let mut format = Format::new(width, height, FourCC::new(code));
        format.size = 1 << 20;
        let set = Output::set_format(&device, &format).expect("the driver takes the format");
        assert_eq!((&set.fourcc.repr, set.width, set.height), (code, width, height));
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        // So that there is a picture before anybody looks for one.
        device.write_all(&buffers[0]).expect("written");
        let thread = std::thread::spawn(move || {
            for buffer in buffers.iter().cycle() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // A USB camera never delivers an empty buffer, nor does the driver take one.
                device.write_all(buffer).expect("written");
                // The pace of a camera.
                std::thread::sleep(Duration::from_millis(40));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn open(capture_mode: CaptureMode) -> V4l2Camera {
    let mut camera = V4l2Camera::new(Some(PathBuf::from("picket-loop")), capture_mode);
    camera.open(&Constraints::default()).expect("the camera opens");
    camera
}

/// A JPEG of one colour, and how bright it is.
fn jpeg(level: u8) -> Vec<u8> {
    let pixels = vec![level; (SIZE.0 * SIZE.1 * 3) as usize];
    let mut bytes = Vec::new();
    jpeg_encoder::Encoder::new(&mut bytes, 90)
        .encode(&pixels, SIZE.0 as u16, SIZE.1 as u16, jpeg_encoder::ColorType::Rgb)
        .expect("encoded");
    bytes
}

fn frame(camera: &mut V4l2Camera) -> Frame {
    match camera.capture().expect("a picture") {
        Capture::Frame(frame) => frame,
        other => panic!("{other:?}"),
    }
}

/// A byte stream, cut into what a camera would put into one buffer each.
fn pictures(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut pictures: Vec<Vec<u8>> = vec![Vec::new()];
    let mut coded = false;
    for range in nal_ranges(stream) {
        let nal = &stream[range];
        let slice = NalType::of(nal).is_slice();
        // The first slice of a picture begins with its first macroblock: a set bit.
        let begins = !slice || nal.get(1).is_some_and(|byte| byte & 0x80 != 0);
        if coded && begins {
            pictures.push(Vec::new());
            coded = false;
        }
        coded |= slice;
        let picture = pictures.last_mut().expect("there is one");
        picture.extend_from_slice(&[0, 0, 0, 1]);
        picture.extend_from_slice(nal);
    }
    pictures
}

const PLAIN: &[u8] = include_bytes!("media/plain.h264");
const OUT_OF_ORDER: &[u8] = include_bytes!("media/bframes.h264");

fn size_of(stream: &[u8]) -> (u32, u32) {
    let sps = nal_ranges(stream)
        .map(|range| &stream[range])
        .find(|nal| NalType::of(nal) == NalType::Sps)
        .expect("it has an SPS");
    let info = SpsInfo::parse(sps).expect("it can be read");
    (info.width, info.height)
}

fn nals(unit: &AccessUnit) -> Vec<Vec<u8>> {
    unit.nals().map(<[u8]>::to_vec).collect()
}

#[test]
fn motion_jpeg_comes_out_as_pictures() {
    let Some(_driver) = driver() else { return };
    let _sensor = Sensor::start(b"MJPG", SIZE, vec![jpeg(60), jpeg(190)]);
    let mut camera = open(CaptureMode::PassThrough);
    let mut seen = HashSet::new();
    let mut last = None;
    for _ in 0..40 {
        let frame = frame(&mut camera);
        assert_eq!(
            (frame.width(), frame.height(), frame.format()),
            (SIZE.0, SIZE.1, PixelFormat::Rgb)
        );
        let level = frame.plane(0)[frame.plane(0).len() / 2];
        assert!(level.abs_diff(60) < 4 || level.abs_diff(190) < 4, "{level}");
        seen.insert(level > 120);
        assert!(last.is_none_or(|last| frame.time() > last));
        last = Some(frame.time());
    }
    assert_eq!(seen.len(), 2, "one after the other");
}

#[test]
fn a_jpeg_that_is_garbage_or_was_cut_short_costs_a_picture_and_no_more() {
    let Some(_driver) = driver() else { return };
    let whole = jpeg(120);
    let mut flipped = whole.clone();
    flipped[2] ^= 0xff;
    let other_size = {
        let mut bytes = Vec::new();
        let pixels = vec![200; 64 * 64 * 3];
        jpeg_encoder::Encoder::new(&mut bytes, 90)
            .encode(&pixels, 64, 64, jpeg_encoder::ColorType::Rgb)
            .expect("encoded");
        bytes
    };
    let cut = [whole[..whole.len() / 2].to_vec(), whole[..whole.len() - 2].to_vec()];
    let bad = [vec![0xff; 5000], vec![0; 100], flipped, other_size];
    let mut buffers = vec![whole.clone()];
    for broken in cut.into_iter().chain(bad) {
        buffers.extend([broken, whole.clone()]);
    }
    let _sensor = Sensor::start(b"MJPG", SIZE, buffers);
    let mut camera = open(CaptureMode::PassThrough);
    for _ in 0..40 {
        let frame = frame(&mut camera);
        assert!(
            frame.plane(0).iter().all(|level| level.abs_diff(120) < 4),
            "a damaged one is shown"
        );
    }
}

#[test]
fn a_camera_that_sends_nothing_but_garbage_is_lost() {
    let Some(_driver) = driver() else { return };
    let _sensor = Sensor::start(b"MJPG", SIZE, vec![vec![0xff; 5000]]);
    let error = open(CaptureMode::PassThrough).capture().expect_err("there are no pictures");
    assert!(matches!(error, CameraError::Lost(_)), "{error}");
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[test]
fn h264_that_browsers_decode_is_passed_on_byte_for_byte() {
    let Some(_driver) = driver() else { return };
    let buffers = pictures(PLAIN);
    let sent: HashSet<Vec<Vec<u8>>> = buffers
        .iter()
        .map(|buffer| nal_ranges(buffer).map(|range| buffer[range].to_vec()).collect())
        .collect();
    let _sensor = Sensor::start(b"H264", size_of(PLAIN), buffers);
    let mut camera = open(CaptureMode::PassThrough);
    let (mut keys, mut last) = (0, None);
    for _ in 0..40 {
        let Capture::AccessUnit(unit) = camera.capture().expect("a picture") else {
            panic!("it was not passed on");
        };
        assert!(sent.contains(&nals(&unit)), "{unit:?} is none of those that were sent");
        keys += usize::from(unit.is_key());
        assert!(last.is_none_or(|last| unit.time() > last));
        last = Some(unit.time());
    }
    assert!(keys >= 2, "{keys} key frames");
}

#[test]
fn h264_with_pictures_out_of_order_is_decoded() {
    let Some(_driver) = driver() else { return };
    let size = size_of(OUT_OF_ORDER);
    let _sensor = Sensor::start(b"H264", size, pictures(OUT_OF_ORDER));
    let mut camera = open(CaptureMode::PassThrough);
    let mut passed_on = 0;
    let first = loop {
        match camera.capture().expect("a picture") {
            Capture::Frame(frame) => break frame,
            Capture::AccessUnit(_) => passed_on += 1,
            Capture::End => panic!("a camera has no end"),
        }
    };
    assert!(passed_on < 20, "{passed_on} before it was noticed");
    assert_eq!(
        (first.width(), first.height(), first.format()),
        (size.0, size.1, PixelFormat::I420)
    );
    let mut last = first.time();
    for _ in 0..20 {
        let frame = frame(&mut camera);
        assert!(frame.time() > last, "in the order they are shown");
        last = frame.time();
    }
}

#[test]
fn h264_whose_pictures_are_to_be_changed_is_decoded() {
    let Some(_driver) = driver() else { return };
    let _sensor = Sensor::start(b"H264", size_of(PLAIN), pictures(PLAIN));
    let mut camera = open(CaptureMode::Decode);
    for _ in 0..20 {
        assert_eq!(frame(&mut camera).format(), PixelFormat::I420);
    }
}

#[test]
fn broken_h264_costs_a_picture_and_no_more() {
    let Some(_driver) = driver() else { return };
    let whole = pictures(PLAIN);
    let sps = nal_ranges(PLAIN)
        .map(|range| PLAIN[range].to_vec())
        .find(|nal| NalType::of(nal) == NalType::Sps)
        .expect("an SPS");
    let mut buffers = Vec::new();
    for (n, picture) in whole.iter().enumerate() {
        buffers.push(picture.clone());
        match n {
            // Garbage, a cut within the headers, a damaged SPS.
            3 => buffers.push(vec![0xff; 3000]),
            5 => buffers.push(picture[..4].to_vec()),
            7 => buffers
                .push([&[0, 0, 0, 1], &sps[..6], &[0, 0, 0, 1, 0x65, 0x88, 0x84, 1]].concat()),
            _ => {}
        }
    }
    let _sensor = Sensor::start(b"H264", size_of(PLAIN), buffers);
    for capture_mode in [CaptureMode::PassThrough, CaptureMode::Decode] {
        let mut camera = open(capture_mode);
        let mut keys = 0;
        for _ in 0..40 {
            match camera.capture().expect("a picture") {
                Capture::AccessUnit(unit) => {
                    let own = unit.nals().find(|nal| NalType::of(nal) == NalType::Sps);
                    // Until there was a sound one, nobody can tell.
                    let sound = own.is_none_or(|own| own == sps);
                    assert!(sound || keys == 0, "a damaged SPS was passed on");
                    keys += usize::from(unit.is_key() && sound);
                }
                Capture::Frame(frame) => keys += usize::from(frame.width() > 0),
                Capture::End => panic!("a camera has no end"),
            }
        }
        assert!(keys >= 2, "{keys} {capture_mode:?}");
    }
}
