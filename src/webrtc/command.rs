//! What the HTTP side may ask of the engine, and what it is answered.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::caller::Caller;
use super::candidates::SignallingPath;
use super::report::SessionReport;
use super::sdp::{Direction, Fragment, Refusal, SdpError};
use super::stun_turn::IceServer;
use crate::hub::Layer;
use crate::web::Holder;

/// An accepted offer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The session's name: 32 hexadecimal digits, 128 random bits.
    pub id: String,
    /// Strong entity tag of its ICE session.
    pub etag: String,
    /// The answer.
    pub sdp: String,
}

/// Why an offer was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// There is no camera of that name.
    #[error("there is no such camera")]
    NoSuchCamera,
    /// Not a usable session description.
    #[error("the offer cannot be used: {0}")]
    Sdp(SdpError),
    /// No common codec.
    #[error(transparent)]
    Codec(Refusal),
    /// As many viewers as allowed.
    #[error(
        "{}, which is all this camera allows",
        match most {
            1 => "somebody is watching already".to_owned(),
            most => format!("{most} viewers are watching already"),
        }
    )]
    Full {
        /// The limit.
        most: usize,
    },
    /// As many offers of the same sender wait for their viewers to connect as it may have.
    #[error("too many viewers are connecting from there just now; try again in a few seconds")]
    Flood,
    /// The credential was withdrawn while the offer waited.
    #[error("whoever made this offer may no longer watch")]
    Withdrawn,
    /// Nothing to show.
    #[error("there is nothing to watch: {0}")]
    NoSource(String),
    /// Something that is not the viewer's fault.
    #[error("the camera could not set up the session: {0}")]
    Internal(String),
    /// The daemon is stopping.
    #[error("the camera is shutting down")]
    Stopping,
}

/// The `If-Match` of a `PATCH` (RFC 9110 §13.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: whichever ICE session there is.
    Any,
    /// One of these.
    Tags(Vec<String>),
    /// There is none.
    Absent,
}

/// What a `PATCH` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patched {
    /// Candidates were added.
    Trickled,
    /// ICE starts again.
    Restarted {
        /// Entity tag of the new ICE session.
        etag: String,
        /// Our side of it.
        fragment: String,
    },
}

/// Why a `PATCH` did nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// Not a usable fragment.
    #[error("the fragment cannot be used: {0}")]
    Sdp(SdpError),
    /// Never was, or is over.
    #[error("no such session")]
    NoSuchSession,
    /// It belongs to an ICE session that is over.
    #[error("the entity tag is not that of the running ICE session")]
    StaleEtag,
    /// It does not say to which ICE session it belongs.
    #[error(
        "expected If-Match with the session's entity tag or *, or, for candidates alone, the \
         credentials that the session has"
    )]
    NoPrecondition,
    /// Something that is not the viewer's fault.
    #[error("the session could not be changed: {0}")]
    Internal(String),
    /// The daemon is stopping.
    #[error("the camera is shutting down")]
    Stopping,
}

pub(super) enum Command {
    Offer {
        /// The camera's name.
        camera: Arc<str>,
        sdp: String,
        by: Caller,
        reply: OfferReply,
    },
    Patch {
        id: String,
        /// Nobody that is known, where it is left to the fragment to show its right.
        by: Option<Holder>,
        if_match: IfMatch,
        fragment: Fragment,
        path: SignallingPath,
        reply: oneshot::Sender<Result<Patched, PatchError>>,
    },
    Close {
        id: String,
        by: Holder,
        reply: oneshot::Sender<bool>,
    },
    /// Ends all sessions but those of whoever may watch.
    Retain {
        may_watch: Box<dyn Fn(&Holder) -> bool + Send>,
    },
    WhyEnded {
        id: String,
        by: Holder,
        reply: oneshot::Sender<Option<String>>,
    },
    CloseAll {
        /// Of the camera of this name.
        camera: Arc<str>,
        reply: oneshot::Sender<()>,
    },
    Steer {
        id: String,
        active: Option<bool>,
        direction: Option<Direction>,
        layer: Option<Layer>,
        reply: oneshot::Sender<Option<SessionReport>>,
    },
    Report {
        /// One, as far as it is for the holder to see, or all.
        which: Option<(String, Holder)>,
        reply: oneshot::Sender<Vec<SessionReport>>,
    },
    IceServers(Vec<IceServer>),
    Stop,
}

/// Where the answer to an offer goes.
pub(super) struct OfferReply(pub(super) oneshot::Sender<Result<Answer, OfferError>>);

impl OfferReply {
    pub(super) fn send(self, result: Result<Answer, OfferError>) {
        // Whoever asked may have gone; the session then never connects and is forgotten.
        let _ = self.0.send(result);
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }
}
