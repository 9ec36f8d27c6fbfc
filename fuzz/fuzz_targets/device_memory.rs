//! What a driver says of a picture's size, rows, planes and length.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    picket::fuzzing::memory(bytes);
});
