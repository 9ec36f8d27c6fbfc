//! What a reverse proxy, or who pretends to be one, says of whom it speaks for.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| picket::fuzzing::forwarded(bytes));
