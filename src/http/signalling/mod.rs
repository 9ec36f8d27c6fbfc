//! Offers and answers: WebGear_RTC's `/offer`, and WHEP.
//!
//! In come offers and candidates of viewers, and their ends; out go answers, and where each session
//! is.
//! The WebRTC side ([`webrtc`](crate::webrtc)) does the rest.

pub(super) mod offer;
mod session;
pub(super) mod whep;

pub(super) use session::{no_such_session, session_id};
