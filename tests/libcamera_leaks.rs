//! A libcamera camera opened again and again, in a process that does nothing else. Run
//! by `scripts/test-libcamera`, and in the emulated machine by `scripts/test-guest`.
#![cfg(feature = "libcamera")]

use picket::camera::{Camera, Capture, Constraints, LibcameraSelector};
use picket::testing::camera::libcamera::LibCamera;

/// File descriptors, threads, and kilobytes of memory in use.
fn in_use() -> (usize, usize, u64) {
    let entries = |of: &str| std::fs::read_dir(format!("/proc/self/{of}")).expect("Linux").count();
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|l| l.starts_with("VmRSS")).expect("a size");
    let size = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    (entries("fd"), entries("task"), size)
}

#[test]
fn fifty_openings_leave_nothing_behind() {
    let mut camera = LibCamera::new(LibcameraSelector::First);
    let wanted = Constraints { width: Some(640), height: Some(360), fps: None };
    let mut late = Vec::new();
    let mut before = (0, 0, 0);
    for round in 0..60 {
        camera.open(&wanted).expect("it opens; was this run by scripts/test-libcamera?");
        for _ in 0..5 {
            let Ok(Capture::Frame(frame)) = camera.capture() else {
                panic!("no picture in round {round}");
            };
            assert!(frame.plane(0)[0] > 0);
            // Some are given back while the camera is open, one after it has gone.
            late = vec![frame];
        }
        camera.stop();
        late.clear();
        if round == 9 {
            before = in_use();
        }
    }
    let (files, threads, kilobytes) = in_use();
    assert_eq!((files, threads), (before.0, before.1));
    // Each opening takes 6 MB of buffers; one that stayed behind would show.
    assert!(kilobytes < before.2 + 4096, "{} kB became {kilobytes} kB", before.2);
}
