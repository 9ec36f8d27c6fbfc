//! The plain data that flows through the house: raw pictures ([`Frame`]), compressed pictures
//! ([`AccessUnit`]) and the clock both are stamped with ([`MediaTime`]), and how long each stage takes ([`Delays`]).
//!
//! Nothing here does I/O or knows where pictures come from or go to; every other room speaks in
//! these types. H.264 syntax that more than one room needs (NAL units, parameter sets) lives in
//! [`h264`].

mod access_unit;
mod delays;
mod frame;
pub mod h264;
mod time;

pub use access_unit::{AccessUnit, NalUnits};
pub use delays::{DelaySummary, Delays};
pub use frame::{Frame, FrameError, FrameMemory, FramePool, PixelFormat, Plane, PoolBuffer};
pub use time::MediaTime;
