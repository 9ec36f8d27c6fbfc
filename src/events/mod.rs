//! What happened: one broadcast for all who want to know.
//!
//! In come [`Event`]s from wherever something happens; out they go to every [`Subscription`]: the API's
//! stream of events, the LED, programs that embed Picket. An event says what is now, not what was done,
//! so that whoever missed some is right again with the next. Nobody who emits ever waits: a subscriber
//! that does not keep up is told how many it missed.

pub(crate) mod broadcast;

use std::sync::Arc;

pub(crate) use broadcast::Events;
pub use broadcast::{Heard, Subscription};

use crate::hub::SourceState;
use crate::web::Holder;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The state of a camera's source has changed.
    Source {
        /// The camera's name.
        camera: Arc<str>,
        /// What it is now.
        state: SourceState,
    },
    /// A WebRTC session has changed its state.
    Session(SessionEvent),
    /// The number of a camera's viewers has changed.
    Viewers {
        /// The camera's name.
        camera: Arc<str>,
        /// By WebRTC, connected.
        connected: usize,
        /// By WebRTC, answered and not connected yet.
        connecting: usize,
    },
    /// The number of a camera's viewers by MJPEG has changed.
    MjpegViewers {
        /// The camera's name.
        camera: Arc<str>,
        /// How many.
        watching: usize,
    },
    /// A camera's controls were changed, by a request or the configuration.
    Controls {
        /// The camera's name.
        camera: Arc<str>,
    },
    /// The button was pressed; "short", "5 s", "20 s".
    Button(&'static str),
    /// What is known of updates has changed.
    Update,
    /// The device's `.local` name has changed.
    Device,
}

/// A WebRTC session's state.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionEvent {
    /// The session's name: 32 hexadecimal digits.
    pub id: String,
    /// The camera's name.
    pub camera: Arc<str>,
    /// Whose it is.
    pub(crate) holder: Holder,
    /// `RTCPeerConnectionState`.
    pub connection_state: &'static str,
}
