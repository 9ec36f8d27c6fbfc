//! `camera::libcamera` from the outside: real libcamera with its virtual cameras. Run by
//! `scripts/test-libcamera`, and in the emulated machine by `scripts/test-guest`.
#![cfg(feature = "libcamera")]

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use picket::camera::{
    Camera, CameraError, Capture, Constraints, ControlValue, ControlValues, LibcameraSelector, Mode,
};
use picket::media::{Frame, MediaTime, PixelFormat};
use picket::testing::camera::Location;
use picket::testing::camera::libcamera::{Flip, LibCamera, can_flip, is_there, list};

/// A camera can be had by one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn opened(width: u32, height: u32) -> LibCamera {
    let mut camera = LibCamera::new(LibcameraSelector::First);
    open(&mut camera, width, height);
    camera
}

fn open(camera: &mut LibCamera, width: u32, height: u32) -> Mode {
    let wanted = Constraints { width: Some(width), height: Some(height), fps: None };
    camera.open(&wanted).expect("the camera opens; was this run by scripts/test-libcamera?")
}

fn next(camera: &mut LibCamera) -> Frame {
    match camera.capture() {
        Ok(Capture::Frame(frame)) => frame,
        other => panic!("no picture but {other:?}"),
    }
}

/// Buffers of the virtual cameras, which give no more than this.
const BUFFERS: usize = 4;

#[test]
fn cameras_are_listed_with_their_modes_built_in_ones_first() {
    let _turn = alone();
    let found = list().expect("libcamera works");
    let seen: Vec<_> =
        found.iter().map(|f| (f.source.as_str(), f.model.as_str(), f.location)).collect();
    assert_eq!(
        seen,
        [
            ("libcamera:0", "Picket Test Front", Some(Location::Front)),
            ("libcamera:1", "Picket Test Plugged", Some(Location::External)),
        ]
    );
    assert!(!found[0].id.is_empty());
    for (width, height) in [(1280, 720), (640, 360), (320, 240)] {
        let is = |m: &&_| {
            let picket::testing::camera::ModeInfo { format, width: w, height: h, .. } = m;
            (format.as_str(), *w, *h) == ("NV12", width, height)
        };
        assert!(found[0].modes.iter().find(is).is_some(), "{width}×{height}: {:?}", found[0]);
    }
    assert!(is_there());
}

#[test]
fn a_camera_is_chosen_by_number_or_id() {
    let _turn = alone();
    let id = list().expect("libcamera works")[1].id.clone();
    for which in [LibcameraSelector::Index(1), LibcameraSelector::Id(id)] {
        let mut camera = LibCamera::new(which);
        let mode = camera.open(&Constraints::default()).expect("it opens");
        assert_eq!((mode.width, mode.height), (800, 600));
        assert_eq!(next(&mut camera).width(), 800);
    }
}

#[test]
fn a_camera_that_is_not_there_is_named() {
    let _turn = alone();
    let refusal = |which| {
        let error = LibCamera::new(which).open(&Constraints::default()).expect_err("not there");
        assert!(matches!(error, CameraError::NotFound(_)), "{error:?}");
        error.to_string()
    };
    let number = refusal(LibcameraSelector::Index(7));
    assert_eq!(number, "there is no camera number 7: there are 2, counted from 0");
    let id = refusal(LibcameraSelector::Id("nowhere".into()));
    assert!(id.starts_with("there is no camera \"nowhere\": there is \""), "{id}");
}

#[test]
fn the_nearest_mode_is_used() {
    let _turn = alone();
    let mut camera = LibCamera::new(LibcameraSelector::First);
    for (wanted, got) in [
        ((1280, 720), (1280, 720)),
        ((640, 360), (640, 360)),
        ((1300, 700), (1280, 720)),
        ((600, 400), (640, 360)),
        ((160, 120), (320, 240)),
        ((4096, 4096), (1280, 720)),
    ] {
        let mode = open(&mut camera, wanted.0, wanted.1);
        assert_eq!((mode.width, mode.height), got, "for {wanted:?}");
        let frame = next(&mut camera);
        assert_eq!((frame.width(), frame.height()), got);
    }
    // The camera says 30 to 60 a second.
    for (fps, got) in [(None, 30.0), (Some(45.0), 45.0), (Some(100.0), 60.0), (Some(5.0), 30.0)] {
        let wanted = Constraints { fps, ..Constraints::default() };
        assert!((camera.open(&wanted).expect("it opens").fps - got).abs() < 0.1, "{fps:?}");
    }
}

#[test]
fn a_frame_is_nv12_in_one_dmabuf_with_the_sensor_s_time() {
    let _turn = alone();
    let before = MediaTime::now();
    let mut camera = opened(640, 360);
    let frame = next(&mut camera);
    assert_eq!(frame.format(), PixelFormat::Nv12);
    let layout = frame.layout();
    assert_eq!((layout[0].offset, layout[0].stride), (0, 640));
    assert_eq!((layout[1].offset, layout[1].stride), (640 * 360, 640));
    assert!(frame.memory().dmabuf().is_some());
    assert_eq!(frame.memory().len(), 640 * 360 * 3 / 2);
    assert!(before < frame.time() && frame.time() < MediaTime::now());
    // Diagonal lines are neither all black nor all white.
    let (low, high) = (frame.plane(0).iter().min(), frame.plane(0).iter().max());
    assert!(low < Some(&50) && high > Some(&150), "{low:?} {high:?}");
}

#[test]
fn every_buffer_comes_back_over_500_frames() {
    let _turn = alone();
    let mut camera = opened(320, 240);
    let mut held = VecDeque::new();
    let mut last = None;
    for _ in 0..500 {
        let frame = next(&mut camera);
        let now = (frame.time(), frame.sequence());
        if let Some((time, sequence)) = last {
            assert!(now.0 > time && now.1 > sequence, "{last:?} {now:?}");
        }
        last = Some(now);
        held.push_back(frame);
        // The camera always lacks all but one of its buffers, never the same.
        if held.len() == BUFFERS {
            held.pop_front();
        }
    }
}

#[test]
fn who_comes_late_gets_the_latest_picture() {
    let _turn = alone();
    let mut camera = opened(320, 240);
    // The camera goes on meanwhile, however slow this machine is.
    let passed_over = (0..1000).any(|_| {
        let before = next(&mut camera).sequence();
        std::thread::sleep(Duration::from_millis(10));
        next(&mut camera).sequence() > before + 1
    });
    assert!(passed_over, "who is late gets old pictures");
}

#[test]
fn a_frame_that_is_held_is_not_written_over() {
    let _turn = alone();
    let mut camera = opened(320, 240);
    let held = next(&mut camera);
    let before = held.memory().bytes().to_vec();
    let clone = held.clone();
    drop(held);
    let mut different = 0;
    for _ in 0..100 {
        different += usize::from(next(&mut camera).memory().bytes() != before);
    }
    // The lines move, and seldom come to stand as they did.
    assert!(different > 80, "{different}");
    assert!(clone.memory().bytes() == before);
    // It outlives the camera, too, and its return is harmless.
    camera.stop();
    assert!(clone.memory().bytes() == before);
    open(&mut camera, 320, 240);
    drop(clone);
    for _ in 0..2 * BUFFERS {
        drop(next(&mut camera));
    }
}

#[test]
fn a_buffer_given_back_on_another_thread_wakes_a_camera_that_has_none() {
    let _turn = alone();
    let mut camera = opened(320, 240);
    let all: Vec<_> = (0..BUFFERS).map(|_| next(&mut camera)).collect();
    let latest = all[BUFFERS - 1].sequence();
    let waiting = std::thread::spawn(move || next(&mut camera).sequence());
    drop(all);
    assert!(waiting.join().expect("a picture") > latest);
}

#[test]
fn when_all_pictures_are_kept_it_is_said_who_is_to_blame() {
    let _turn = alone();
    let mut camera = opened(320, 240);
    let _all: Vec<_> = (0..BUFFERS).map(|_| next(&mut camera)).collect();
    let error = camera.capture().expect_err("there is no buffer left");
    assert_eq!(
        error.to_string(),
        "the camera was lost: all 4 pictures it has room for have been in use for 2 seconds"
    );
}

#[test]
fn a_wait_ends_when_the_camera_is_woken() {
    let _turn = alone();
    let mut camera = LibCamera::new(LibcameraSelector::First);
    let wake = camera.waker().expect("it waits");
    wake();
    open(&mut camera, 320, 240);
    let all: Vec<_> = (0..BUFFERS).map(|_| next(&mut camera)).collect();
    let waiting = std::thread::spawn(move || {
        let error = camera.capture().expect_err("nothing can come");
        camera.stop();
        error.to_string()
    });
    wake();
    assert_eq!(waiting.join().expect("no panic"), "the camera was lost: it was told to stop");
    wake();
    drop(all);
}

#[test]
fn a_camera_in_use_is_said_to_be() {
    let _turn = alone();
    let mut first = opened(320, 240);
    let error = LibCamera::new(LibcameraSelector::First)
        .open(&Constraints::default())
        .expect_err("one at a time");
    assert!(error.to_string().contains("is being used by another program"), "{error}");
    drop(next(&mut first));
}

#[test]
fn a_camera_that_cannot_mirror_says_so() {
    let _turn = alone();
    let first = LibcameraSelector::First;
    assert!(can_flip(&first, Flip::None));
    assert!(!can_flip(&LibcameraSelector::Index(7), Flip::None));
    // The virtual pipeline keeps whatever orientation it is asked for, and mirrors nothing.
    let mut camera = LibCamera::new(first).flipped(Flip::Both);
    open(&mut camera, 320, 240);
    drop(next(&mut camera));
}

#[test]
fn controls_a_camera_does_not_have_are_passed_over() {
    let _turn = alone();
    let mut camera = opened(320, 240);
    assert_eq!(camera.controls(), [], "virtual cameras have none of ours");
    let values = ControlValues::from([
        ("brightness".to_owned(), ControlValue::Number(0.5)),
        ("roi".to_owned(), ControlValue::Numbers(vec![0.0, 0.0, 0.5, 0.5])),
    ]);
    camera.set_controls(&values).expect("harmless");
    drop(next(&mut camera));
    open(&mut camera, 640, 360);
    camera.set_controls(&ControlValues::new()).expect("harmless");
    drop(next(&mut camera));
}
