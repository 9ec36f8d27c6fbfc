//! A clip of the owner's, MP4 or raw H.264, as somebody's program or a broken download left it:
//! indexed and read sample by sample.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = picket::fuzzing::clip(bytes);
});
