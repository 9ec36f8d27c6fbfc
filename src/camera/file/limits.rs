//! What is possible for a clip: anything beyond is damaged, or not a clip.

/// Half a day at 25 pictures a second. The index of a clip that long takes 24 MiB.
pub(super) const MAX_PICTURES: usize = 1 << 20;
/// More than any level allows for one picture; a damaged size must not take all memory.
pub(super) const MAX_UNIT_BYTES: u32 = 16 << 20;

/// More than any editor makes by hand.
pub(super) const MAX_EDITS: usize = 1 << 16;
