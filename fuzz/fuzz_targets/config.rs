//! A configuration file, as somebody's editor or a dying card left it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    picket::fuzzing::config(bytes);
});
