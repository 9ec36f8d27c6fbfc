//! Checks for updates, and installs them.
//!
//! In comes the manifest of the newest version, from `update.url`: `{"version": "0.3.0", "url":
//! "https://…/picket.raucb", "size": 41943040}`. Out go word of a newer version to the owner's
//! page, and the bundle to the [`Installer`](super::Installer): when the owner says so, or by
//! itself if `update.install` is `automatic` and nobody is watching. The steward checks with the
//! key in the image whether a bundle is genuine and for this board; so a malicious server can do no
//! worse than waste time, and even that is limited here.

mod check_schedule;
mod checker;
mod download;
mod error;
mod manifest;

pub use checker::{UpdateCheck, UpdateChecker};
pub use error::UpdateError;
