//! The H.264 of a camera that codes it itself: passed on, or decoded.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    picket::fuzzing::camera(bytes);
});
