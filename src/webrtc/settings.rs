//! What the WebRTC side is told when it starts.

use std::net::IpAddr;
use std::sync::Arc;

use super::stun_turn::IceServer;
use crate::hub::Hub;
use crate::media::h264::ProfileLevel;

/// Settings of the WebRTC side.
#[derive(Debug, Clone)]
pub struct WebRtcSettings {
    /// UDP port for all viewers; 0 for any free one.
    pub udp_port: u16,
    /// Let viewers connect by TCP too, at the same port number.
    pub tcp: bool,
    /// Use IPv6 where the machine has it.
    pub ipv6: bool,
    /// Addresses under which this machine is reached through a port forward.
    pub announce: Vec<IpAddr>,
    /// STUN and TURN servers the daemon uses itself.
    pub ice_servers: Vec<IceServer>,
    /// Many viewers of each camera, or one.
    pub live_broadcast: bool,
    /// Most viewers of each camera at once.
    pub max_viewers: usize,
    /// Whether there is something to see while the source is lost.
    pub infinite_frames: bool,
}

/// A camera that can be watched.
#[derive(Clone)]
pub struct WatchedCamera {
    /// Its name.
    pub name: Arc<str>,
    /// Its stream.
    pub hub: Hub,
    /// What the stream is expected to be, where no picture has shown it yet.
    pub expected_profile: ProfileLevel,
}
