//! Picket: a camera you watch in any browser. One H.264 encode, every viewer, over WebRTC.
//!
//! ```text
//! camera ──Frame──▶ transform ──Frame──▶ encoder ──Sample──▶ hub ─┬─▶ rtp ─▶ webrtc   WebRTC viewers
//!                           │               ▲                     └─▶ stills  JPEG, for http
//!                           │               └─────── demand ──────┘     ▲
//!                           └──Frame, where one is asked for────────────┘
//! ```
//!
//! Each camera has such a line of its own, and one WebRTC engine serves the viewers of all. Pictures
//! move from left to right; what moves back is a demand. Each room is a module whose first paragraph
//! says what it is for, what comes in and what goes out. Beside the line: [`media`] is the plain data
//! that flows, [`events`] tells what happens, [`config`] reads `config.toml`, `site` keeps the pages,
//! `tls` has the certificate that they are served with, `appliance` does what only a device does.
//! With the feature `steward`, which only the image needs, a room of that name is its part that
//! runs as root. `pipeline` is the line from camera to hub, run by two threads; `app` wires
//! everything together. With the feature `v4l2`, a room of that name speaks to the kernel for the
//! cameras and the encoder that need it.
//!
//! # Embedding Picket
//!
//! It begins at [`Picket::builder`]:
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
//! | to bring, or to use | there is | as in `examples/` |
//! |---|---|---|
//! | a source of pictures | [`Builder::camera`], [`camera::Camera`] | `custom_camera.rs` |
//! | a step between camera and encoder | [`Builder::transform`], [`transform::Transform`] | `grayscale.rs` |
//! | routes, pages, middleware | [`Builder::routes`], [`Builder::layer`], [`http`] | `own_pages.rs` |
//! | signalling other than by HTTP | [`Picket::signalling`], [`signalling`] | `own_signalling.rs` |
//! | the coded pictures | [`Picket::stream`], [`stream`], [`rtp`] | `rtp_out.rs` |
//! | what happens | [`Picket::events`], [`events`] | `own_signalling.rs` |
//!
//! Everything else is private, and may change without a word.
//!
//! # Words
//!
//! All of them are in the glossary of `docs/design.md`; these are the first ones to know.
//!
//! - A **frame** is a raw picture; an **access unit** is a coded one (H.264 §3.1). A **sample** is what
//!   a **track** carries: an access unit, or a packet of coded sound.
//! - A **key frame** is one at which decoding can begin: an IDR picture with its parameter sets.
//!   A **group of pictures** runs from one key frame to the next.
//! - A **viewer** is somebody who watches; a **session** is its WebRTC connection.
//! - An **offer** is what a viewer's browser sends, an **answer** what Picket returns (JSEP, RFC
//!   8829); **candidates** are addresses at which either may be reached (ICE, RFC 8445).
//! - The **source** is where pictures come from, by whatever [`camera`] brings them.
//! - A **placeholder** is the picture shown when there is none: "No signal".

#![cfg_attr(not(any(fuzzing, feature = "testing")), warn(missing_docs, unnameable_types))]

mod app;
mod appliance;
pub mod camera;
pub mod config;
mod decoder;
mod encoder;
pub mod events;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
mod hub;
pub mod media;
mod pipeline;
pub mod rtp;
pub mod signalling;
mod site;
#[cfg(feature = "steward")]
mod steward;
mod stills;
pub mod stream;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;
mod tls;
pub mod transform;
#[cfg(feature = "v4l2")]
mod v4l2;
mod web;
mod webrtc;

pub use app::{
    Builder, ConfigSource, Picket, PicketError, Probe, Stopper, Welcome, check, probe,
    return_freed_memory, start_logging,
};

// What the image's part that runs as root does, for the program `picket` alone.
#[cfg(feature = "steward")]
#[doc(hidden)]
pub use appliance::StewardError;
#[cfg(feature = "steward")]
#[doc(hidden)]
pub use steward::{rauc_backend, report_lease, run as run_steward};
