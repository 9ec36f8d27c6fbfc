//! What a hardware encoder hands back: parts of buffers, stamps and H.264.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    picket::fuzzing::encoder(bytes);
});
