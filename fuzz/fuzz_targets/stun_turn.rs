//! Datagrams from the address of a STUN or TURN server, with requests under way.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    picket::fuzzing::stun_turn(bytes);
});
