//! A byte stream from a file or a driver: access units and parameter sets.
//!
//! Round trip: the NAL units taken out of a stream, put together again, are found again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use picket::media::h264::{NalType, ParameterSets, START_CODE, SpsInfo, nal_ranges};
use picket::media::{AccessUnit, MediaTime};

fuzz_target!(|bytes: &[u8]| {
    let nals: Vec<&[u8]> = nal_ranges(bytes).map(|range| &bytes[range]).collect();
    let again: Vec<u8> = nals.iter().flat_map(|nal| [&START_CODE, *nal].concat()).collect();
    let found: Vec<&[u8]> = nal_ranges(&again).map(|range| &again[range]).collect();
    assert_eq!(nals, found);

    for nal in nals.iter().filter(|nal| NalType::of(nal) == NalType::Sps) {
        let _ = SpsInfo::parse(nal);
    }
    let mut sets = ParameterSets::default();
    let data = bytes::Bytes::copy_from_slice(bytes);
    if let Ok(unit) = AccessUnit::from_annex_b(data, MediaTime::default(), &mut sets) {
        assert!(unit.nals().any(|nal| NalType::of(nal).is_slice()));
        if unit.is_key() {
            let kinds: Vec<NalType> = unit.nals().map(NalType::of).collect();
            assert!(kinds.contains(&NalType::Sps) && kinds.contains(&NalType::Pps));
        }
    }
});
