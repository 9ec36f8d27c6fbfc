//! rtc
mod packetize;
pub mod sdp;
mod srtp;
