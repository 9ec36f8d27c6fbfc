//! Picket: camera firmware for Raspberry Pi. One H.264 encode, every browser, over WebRTC.
//!
//! ```text
//! camera ──Frame──▶ transform ──Frame──▶ encoder ──AccessUnit──▶ hub ─┬─▶ rtc      WebRTC viewers
//!                                           ▲                         └─▶ http     snapshot
//!                                           └──────── Demand ─────────┘
//! ```

pub mod camera;
pub mod decoder;
pub mod encoder;
pub mod media;
pub mod transform;
