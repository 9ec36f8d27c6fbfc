//! A trickle or restart fragment from the network.
#![no_main]

use libfuzzer_sys::fuzz_target;
use picket::fuzzing::Fragment;

fuzz_target!(|text: &str| {
    if let Ok(fragment) = Fragment::parse(text) {
        assert!(fragment.candidates.len() <= 32);
    }
});
