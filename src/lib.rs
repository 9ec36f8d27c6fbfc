//! Picket: a camera you watch in any browser. One H.264 encode, every viewer, over WebRTC.
//!
//! ```text
//! camera ──Frame──▶ transform ──Frame──▶ encoder ──AccessUnit──▶ hub ─┬─▶ rtc      WebRTC viewers
//!                           │               ▲                         └─▶ stills   JPEG, for http
//!                           │               └──────── Demand ─────────┘     ▲
//!                           └──Frame, where one is asked for────────────────┘
//! ```
//!
//! Pictures move from left to right; the one thing that moves back is a demand. Each room is a
//! module whose first paragraph says what it is for, what comes in and what goes out. Four more
//! stand beside the line: [`config`] reads `config.toml`, [`site`] keeps the pages, [`appliance`]
//! does what only a device does, [`steward`] is the part of the image that runs as root.
//! [`pipeline`] is the line from camera to hub, run by two threads; `app` wires everything
//! together. With the feature `v4l2`, a room of that name speaks to the kernel for the cameras and
//! the encoder that need it.
//!
//! A program that wants to be a Picket begins at [`Picket::builder`]:
//!
//! ```no_run
//! use picket::{Picket, config::Config};
//!
//! # fn main() -> Result<(), picket::PicketError> {
//! let picket = Picket::builder(Config::default()).build()?;
//! println!("watch at http://{}/", picket.address());
//! picket.run();
//! # Ok(())
//! # }
//! ```
//!
//! # Words
//!
//! - A **frame** is a raw picture; an **access unit** is a coded one (H.264 §3.1).
//! - A **key picture** is one at which decoding can begin: an IDR picture with its parameter sets.
//!   A **group of pictures** runs from one key picture to the next.
//! - A **viewer** is somebody who watches; a **session** is its WebRTC connection.
//! - An **offer** is what a viewer's browser sends, an **answer** what Picket returns (JSEP, RFC
//!   8829); **candidates** are addresses at which either may be reached (ICE, RFC 8445).
//! - The **source** is where pictures come from, by whatever [`camera`] brings them.
//! - A **card** is the picture shown when there is none.

mod app;
pub mod appliance;
pub mod camera;
pub mod config;
pub mod decoder;
pub mod encoder;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod hub;
pub mod media;
pub mod pipeline;
pub mod rtc;
pub mod site;
pub mod steward;
pub mod stills;
pub mod transform;
#[cfg(feature = "v4l2")]
mod v4l2;
mod web;

pub use app::{
    Builder, ConfigSource, Picket, PicketError, Probe, Stopper, Welcome, check, probe,
    return_freed_memory, start_logging,
};
