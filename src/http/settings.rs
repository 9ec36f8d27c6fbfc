//! What the configuration says to this room.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;

use super::local_domains::LocalDomains;
use super::secure::SecurePage;
use crate::appliance::AlternativeName;
use crate::config::Subnet;
use crate::webrtc::stun_turn::IceServer;

/// Settings of this room.
#[derive(Debug, Clone, Default)]
pub struct HttpSettings {
    /// The device's name, under which it is reached as `name` and `name.local`.
    pub hostname: String,
    /// Another name of its own under which it is reached as `name.local`, while it has one.
    pub other_name: Option<watch::Receiver<AlternativeName>>,
    /// Further names under which it is reached.
    pub allowed_hosts: Vec<String>,
    /// Domains in which its name is its own.
    pub domains: LocalDomains,
    /// Proxies that are believed when they say who the client is.
    pub trusted_proxies: Vec<Subnet>,
    /// Origins whose pages may use the API: `https://example.org`.
    pub cors: Vec<String>,
    /// Whose pages may show this one in a frame, and its pictures, as CSP's `frame-ancestors` has
    /// it: `https://example.org`, `'self'`.
    pub frame_ancestors: Vec<String>,
    /// MJPEG.
    pub mjpeg: MjpegSettings,
    /// Whether a token may stand in the URL of a picture.
    pub token_in_url: bool,
    /// STUN and TURN servers told to viewers.
    pub ice_servers: IceServers,
    /// Many viewers, or one at a time.
    pub sharing: Sharing,
    /// HTTPS, where it is served.
    pub secure_page: Option<SecurePage>,
}

/// Whether viewers share the stream; `stream.live_broadcast` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Many viewers see the same.
    #[default]
    Broadcast,
    /// One viewer, who may end the session and start a new one through `/close_connection`.
    Single,
}

/// The list of STUN and TURN servers; clones are handles to the same list, which may change while
/// viewers come and go.
#[derive(Debug, Clone, Default)]
pub struct IceServers(Arc<RwLock<Arc<[IceServer]>>>);

impl IceServers {
    /// The servers as of now.
    #[must_use]
    pub fn get(&self) -> Arc<[IceServer]> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells viewers of other servers from now on.
    pub fn set(&self, servers: Vec<IceServer>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = servers.into();
    }
}

impl From<Vec<IceServer>> for IceServers {
    fn from(servers: Vec<IceServer>) -> Self {
        let list = Self::default();
        list.set(servers);
        list
    }
}

/// Fewest pictures a second one may ask for: one in ten seconds.
const MIN_FPS: f64 = 0.1;

/// Settings of MJPEG.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MjpegSettings {
    /// Most pictures a second.
    pub fps: f64,
    /// Most viewers at once.
    pub viewers: usize,
}

impl Default for MjpegSettings {
    fn default() -> Self {
        Self { fps: 5.0, viewers: 100 }
    }
}

impl MjpegSettings {
    /// Time from one picture to the next, where `fps` is asked for.
    pub(super) fn interval(&self, fps: Option<f64>) -> Duration {
        let most = self.fps.max(MIN_FPS);
        Duration::from_secs_f64(fps.map_or(most, |fps| fps.clamp(MIN_FPS, most)).recip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_more_pictures_than_the_settings_allow() {
        let settings = MjpegSettings { fps: 5.0, viewers: 1 };
        let ms = |fps| settings.interval(fps).as_millis();
        assert_eq!(
            [None, Some(2.0), Some(50.0), Some(f64::INFINITY)].map(ms),
            [200, 500, 200, 200]
        );
        assert_eq!(ms(Some(f64::MIN_POSITIVE)), 10_000);
    }
}
