//! rtc
mod packetize;
pub mod sdp;
pub mod servers;
mod srtp;
