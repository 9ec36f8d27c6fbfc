//! Pages and files for browsers: the player, the owner's own pages and folders, `/static`.
//!
//! In comes whoever renders pages ([`Pages`], which [`Site`](crate::site::Site) is); out go answers
//! with what browsers need to keep a copy.

mod handlers;
mod provider;

pub(super) use handlers::{index, mounted_file, own_page, static_file};
pub use provider::Pages;
