//! What the tests share: starting the daemon as a user would, and peers to watch it with.
//!
//! Each test file is a program of its own and uses a part of this.
#![allow(dead_code)]

pub mod axe;
pub mod browser;
pub mod client;
pub mod clip;
pub mod coturn;
pub mod daemon;
pub mod device;
pub mod example;
pub mod network;
pub mod pebble;
pub mod peer;
pub mod proxy;
pub mod sdp;
pub mod steward;
pub mod test_server;
pub mod tls;
pub mod web;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// For tests that measure, or watch in real time: each needs the machine for itself to mean
/// anything.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that failed has let go all the same.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
