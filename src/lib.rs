//! Picket: camera firmware for Raspberry Pi. One H.264 encode, every browser, over WebRTC.
//!
//! ```text
//! camera ──Frame──▶ transform ──Frame──▶ encoder ──AccessUnit──▶ hub ─┬─▶ rtc      WebRTC viewers
//!                                           ▲                         └─▶ http     snapshot
//!                                           └──────── Demand ─────────┘
//! ```

mod app;
pub mod camera;
pub mod config;
pub mod decoder;
pub mod encoder;
pub mod http;
pub mod hub;
pub mod media;
pub mod pipeline;
pub mod rtc;
pub mod site;
pub mod transform;

pub use app::{Builder, Picket, PicketError, Stopper, load_config, start_logging};
