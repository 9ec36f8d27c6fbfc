//! The plain data that flows through the house: raw pictures ([`Frame`]), what they are coded as
//! ([`AccessUnit`]), what a track carries ([`Sample`]), the clock they are all stamped with
//! ([`MediaTime`]), and how long each stage takes ([`Delays`]).
//!
//! Nothing here does I/O or knows where pictures come from or go to; every other room speaks in
//! these types. H.264 syntax that more than one room needs (NAL units, parameter sets) lives in
//! [`h264`]. What drivers say of pictures and no driver is believed in is checked here, too:
//! `geometry` and `layout` for where they lie, `stamps` for when they were taken.

mod access_unit;
mod delays;
mod frame;
#[cfg(any(feature = "v4l2", fuzzing, test))]
pub(crate) mod geometry;
pub mod h264;
#[cfg(any(feature = "libcamera", fuzzing, test))]
pub(crate) mod layout;
mod sample;
#[cfg(any(feature = "libcamera", feature = "v4l2", fuzzing, test))]
pub(crate) mod stamps;
mod time;

pub use access_unit::{AccessUnit, NalUnits};
pub(crate) use delays::{DelaySummary, Delays};
pub use frame::{Frame, FrameError, FrameMemory, FramePool, PixelFormat, Plane, PoolBuffer};
pub use sample::{AudioPacket, Sample};
pub use time::{MediaTime, utc_now};
