//! Pictures for clients that show no video: one (`/snapshot.jpg`), or one after the other
//! (`/stream.mjpg`), and both at the addresses of mjpg-streamer.
//!
//! In come still pictures, from a [`Snapshotter`]; out go JPEG and MJPEG.

mod address;
pub(super) mod mjpeg;
pub(super) mod mjpg_streamer;
pub(super) mod snapshot;
mod snapshotter;

pub(super) use address::is_picture;
pub use snapshotter::Snapshotter;
