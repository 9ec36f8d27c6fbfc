//! What the tests share: starting the daemon as a user would, and peers to watch it with.
//!
//! Each test file is a program of its own and uses a part of this.
#![allow(dead_code)]

pub mod axe;
pub mod browser;
pub mod client;
pub mod coturn;
pub mod daemon;
pub mod device;
pub mod house;
pub mod peer;
pub mod sdp;
pub mod steward;
pub mod web;
