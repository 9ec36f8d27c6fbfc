//! WebRTC sessions by a program's own signalling, beside the [`http`](crate::http) side's: offers that
//! come by a message queue, a Unix socket, or whatever else the program has.
//!
//! In come offers (JSEP, RFC 8829) and trickled candidates (RFC 8840); out go answers, and what there
//! is to tell of each session. How a session gets on is told by [`events`](crate::events). See
//! `examples/own_signalling.rs`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

pub use crate::webrtc::sdp::{Refusal, SdpError};
pub use crate::webrtc::{
    Answer, EncodingReport, OfferError, PatchError, Patched, SenderReport, SessionReport,
    StartError, StatsReport, TrackReport, TransceiverReport, TransportReport,
};

use crate::events::{Events, Subscription};
use crate::webrtc::{Caller, Holder, IfMatch, SignallingPath, WebRtc};

/// Answers WebRTC offers that reach the program by its own signalling. Clones are the same thing, for
/// any thread and any async runtime, and work while [`Picket::run`](crate::Picket::run) runs.
///
/// Whoever can reach the program's signalling may watch: the program vouches for them, and Picket's own
/// sign-in is not asked. Its sessions count among the viewers of a camera (`stream.max_viewers`), are
/// listed in the API, and stay when passwords and tokens change.
#[derive(Clone)]
pub struct Signalling {
    webrtc: Arc<WebRtc>,
    events: Events,
    viewer: IpAddr,
}

impl Signalling {
    pub(crate) fn new(webrtc: Arc<WebRtc>, events: Events) -> Self {
        // Not loopback, and in no network.
        Self { webrtc, events, viewer: Ipv4Addr::UNSPECIFIED.into() }
    }

    /// The same for a viewer of whom the program knows the address. The answer then begins with those of
    /// this machine's addresses that are likely to be reached from there; a viewer on this very machine
    /// (a loopback address) is told its loopback addresses, too. And each address has its own share of
    /// the offers that may wait for their viewers to connect.
    #[must_use]
    pub fn for_viewer_at(&self, address: IpAddr) -> Self {
        Self { viewer: address.to_canonical(), ..self.clone() }
    }

    /// Answers an offer to watch the camera of this name; `main` is the one of `[camera]`. Starts the
    /// camera where nobody watches yet, and may wait for its first picture, some seconds, because the
    /// answer quotes the stream. The answer holds all of this machine's candidates. A session whose viewer
    /// does not connect within ten seconds ends.
    ///
    /// To drop the future is to withdraw the offer.
    ///
    /// # Errors
    /// See [`OfferError`].
    pub async fn offer(&self, camera: &str, sdp: String) -> Result<Answer, OfferError> {
        let by = Caller { holder: Holder::program(), path: self.path() };
        self.webrtc.offer(camera.into(), sdp, by).await
    }

    /// Takes what a viewer learned after its offer, as a fragment of SDP (RFC 8840 §9): candidates, or new
    /// ICE credentials, which restart ICE (RFC 8445 §9).
    ///
    /// # Errors
    /// See [`PatchError`].
    pub async fn patch(&self, id: &str, fragment: &str) -> Result<Patched, PatchError> {
        let by = Some(Holder::program());
        self.webrtc.patch(id.to_owned(), by, IfMatch::Any, fragment, self.path()).await
    }

    /// Ends a session; false when there is none of that name. The viewer is told (DTLS `close_notify`).
    pub async fn close(&self, id: &str) -> bool {
        self.webrtc.close(id.to_owned(), Holder::program()).await
    }

    /// All sessions, those of other signalling too, the oldest first.
    pub async fn sessions(&self) -> Vec<SessionReport> {
        self.webrtc.sessions().await
    }

    /// What happens from now on, the states of sessions among it: the same as
    /// [`Picket::events`](crate::Picket::events).
    #[must_use]
    pub fn events(&self) -> Subscription {
        self.events.subscribe()
    }

    fn path(&self) -> SignallingPath {
        SignallingPath { viewer: self.viewer, camera: None }
    }
}
