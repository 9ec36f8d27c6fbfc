//! What a viewer sends in a DTLS handshake, in both roles.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    picket::fuzzing::dtls(bytes);
});
