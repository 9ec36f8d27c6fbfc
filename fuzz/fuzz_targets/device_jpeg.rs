//! The Motion JPEG of a USB camera.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    picket::fuzzing::jpeg(bytes);
});
