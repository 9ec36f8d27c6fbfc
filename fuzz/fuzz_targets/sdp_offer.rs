//! An offer from the network: read or refused, never a panic; and what is accepted can be
//! matched against any stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use picket::media::h264::ProfileLevel;
use picket::fuzzing::Offer;

fuzz_target!(|text: &str| {
    let Ok(mut offer) = Offer::parse(text) else { return };
    for stream in ["42e01f", "42c028", "4d0029", "640033"] {
        let stream = ProfileLevel::parse(stream).expect("well-formed");
        if let Ok(payload) = offer.settle(stream) {
            assert!(offer.transport().is_ok());
            let mids: Vec<&str> = offer.sections.iter().map(|s| &s.mid[..]).collect();
            assert!(offer.answered_bundle().iter().all(|mid| mids.contains(mid)));
            // RFC 6184: what is answered must be able to decode what is sent.
            assert!(payload.profile_level.decodes(stream));
            assert!(payload.pt < 128);
        }
    }
});
