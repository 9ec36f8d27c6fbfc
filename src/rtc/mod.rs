//! WebRTC sessions: one UDP socket, one thread, any number of viewers; and a TCP port for those
//! whom UDP does not reach ([`tcp`]).
//!
//! In come offers from the [`http`](crate::http) side and pictures from the [`hub`](crate::hub);
//! out go answers, and RTP to every viewer. It is the only room that names the WebRTC library.
//!
//! Following one offer: [`Rtc::offer`] hands it to the [`engine`], which finds it a place
//! ([`admission`]), reads it ([`sdp`]), waits for the stream's SPS ([`waiting`]), lists this
//! machine's addresses ([`candidates`]), makes a [`session`] and writes the answer. Following one
//! picture: the engine wakes, each session takes it from its place in the hub, has it cut once for
//! all ([`packetize`]), writes and seals its packets ([`egress`], [`srtp`]) into a [`batch`], and
//! the batch leaves through the [`wire`] in as few system calls as the kernel allows.

mod admission;
mod batch;
mod candidates;
mod command;
mod cuts;
mod demux;
mod egress;
mod engine;
mod holder;
mod keys;
mod outside;
mod pace;
mod packetize;
mod path;
mod report;
pub mod sdp;
pub mod servers;
mod session;
mod srtp;
mod tcp;
mod waiting;
mod wire;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

pub use candidates::SignallingPath;
pub use command::{Answer, IfMatch, OfferError, PatchError, Patched};
pub use holder::{Caller, Holder};
pub use report::{
    EncodingReport, SenderReport, SessionReport, StatsReport, TrackReport, TransceiverReport,
    TransportReport,
};

#[cfg(fuzzing)]
pub use keys::fuzz::handshake as fuzz_dtls;

use crate::hub::Hub;
use crate::media::h264::ProfileLevel;
use crate::media::{DelaySummary, Delays};
use command::{Command, OfferReply};
use engine::Engine;
use tcp::Tcp;
use wire::Wire;

/// How long the end may take: a session has a second to say goodbye.
const STOP_WITHIN: Duration = Duration::from_millis(1100);

/// Settings of the WebRTC side.
#[derive(Debug, Clone)]
pub struct RtcSettings {
    /// UDP port for all viewers; 0 for any free one.
    pub udp_port: u16,
    /// Let viewers connect by TCP too, at the same port number.
    pub tcp: bool,
    /// Use IPv6 where the machine has it.
    pub ipv6: bool,
    /// Addresses under which this machine is reached through a port forward.
    pub announce: Vec<IpAddr>,
    /// STUN and TURN servers the daemon uses itself.
    pub ice_servers: Vec<servers::IceServer>,
    /// Many viewers, or one.
    pub live_broadcast: bool,
    /// Most viewers at once.
    pub max_viewers: usize,
    /// Whether there is something to see while the source is lost.
    pub infinite_frames: bool,
    /// What the stream is expected to be, where no picture has shown it yet.
    pub expected_profile: ProfileLevel,
}

/// Counts of the WebRTC side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Viewers connected.
    pub connected: usize,
    /// Offers answered but not connected yet.
    pub connecting: usize,
    /// Offers answered since the start.
    pub offers_accepted: u64,
    /// Datagrams the kernel had no room for.
    pub datagrams_dropped: u64,
}

/// Why the WebRTC side did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken or not allowed.
    #[error("cannot open UDP port {port} for viewers: {}", bind_advice(.why))]
    Bind {
        /// The port.
        port: u16,
        /// What the system said.
        why: std::io::Error,
    },
    /// Anything else.
    #[error("cannot start WebRTC: {0}")]
    Other(String),
}

/// Why a port is not to be had, and what to do.
fn bind_advice(why: &std::io::Error) -> String {
    match why.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another program has it; end it, or set webrtc.udp_port to a free one, or 0 for any"
                .into()
        }
        std::io::ErrorKind::PermissionDenied => {
            "it needs a permission that Picket lacks; set webrtc.udp_port to one of 1024 or more"
                .into()
        }
        _ => format!("{why}; set webrtc.udp_port to another one, or 0 for any"),
    }
}

/// Ports tried where any will do.
const PORTS_TRIED: usize = 8;

/// Commands that may queue up before callers wait.
const QUEUE: usize = 64;

/// The running WebRTC side; cheap to share by reference.
pub struct Rtc {
    commands: mpsc::Sender<Command>,
    totals: watch::Receiver<Totals>,
    delays: Arc<Delays>,
    port: u16,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Rtc {
    /// Opens the socket and starts the thread.
    ///
    /// # Errors
    /// When the port cannot be had, or the system lacks what WebRTC needs.
    pub fn start(settings: RtcSettings, hub: Hub) -> Result<Self, StartError> {
        let other = |e: &dyn std::fmt::Display| StartError::Other(e.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| other(&e))?;
        let (wire, tcp) = {
            let _inside = runtime.enter();
            let bind = || {
                let wire = Wire::bind(settings.udp_port, settings.ipv6)
                    .map_err(|why| StartError::Bind { port: settings.udp_port, why })?;
                let tcp = settings.tcp.then(|| Tcp::listen(wire.port(), wire.ipv6()));
                Ok::<_, StartError>((wire, tcp))
            };
            let (mut wire, mut tcp) = bind()?;
            // Of any number that will do, not each that is free for UDP is free for TCP.
            for _ in 0..PORTS_TRIED {
                if settings.udp_port == 0 && matches!(tcp, Some(Err(_))) {
                    (wire, tcp) = bind()?;
                }
            }
            // Viewers can do without it; most never use it.
            let tcp = tcp.and_then(|listening| match listening {
                Ok(tcp) => Some(tcp),
                Err(error) => {
                    let port = wire.port();
                    log::warn!(
                        "viewers cannot connect by TCP: port {port}: {error}; set webrtc.udp_port \
                         to a number that is free for TCP too"
                    );
                    None
                }
            });
            (wire, tcp)
        };
        let port = wire.port();
        let (commands, receiver) = mpsc::channel(QUEUE);
        let (counts, totals) = watch::channel(Totals::default());
        let engine =
            Engine::new(hub, settings, (wire, tcp), receiver, counts).map_err(|e| other(&e))?;
        let delays = engine.delays();
        let thread = std::thread::Builder::new()
            .name("rtc".into())
            .spawn(move || runtime.block_on(engine.run()))
            .map_err(|e| other(&e))?;
        Ok(Self { commands, totals, delays, port, thread: Mutex::new(Some(thread)) })
    }

    /// The UDP port viewers send to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Counts, as of now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        *self.totals.borrow()
    }

    /// How long pictures took from the hub until all viewers' packets were with the kernel; what
    /// the pacer held back comes later.
    #[must_use]
    pub fn send_delays(&self) -> DelaySummary {
        self.delays.summary()
    }

    /// Answers an offer.
    ///
    /// # Errors
    /// See [`OfferError`].
    pub async fn offer(&self, sdp: String, by: Caller) -> Result<Answer, OfferError> {
        let make = |reply| Command::Offer { sdp, by, reply: OfferReply(reply) };
        self.ask(make).await.unwrap_or(Err(OfferError::Stopping))
    }

    /// Adds candidates to a session, or restarts its ICE. Of another's session, `by` may do
    /// neither, as if there were none; where nothing is known of who asks, `None`, the credentials
    /// in the fragment have to do.
    ///
    /// # Errors
    /// See [`PatchError`].
    pub async fn patch(
        &self,
        id: String,
        by: Option<Holder>,
        if_match: IfMatch,
        fragment: sdp::Fragment,
        path: SignallingPath,
    ) -> Result<Patched, PatchError> {
        let make = |reply| Command::Patch { id, by, if_match, fragment, path, reply };
        self.ask(make).await.unwrap_or(Err(PatchError::Stopping))
    }

    /// Ends a session; false when `by` has none of that name.
    pub async fn close(&self, id: String, by: Holder) -> bool {
        self.ask(|reply| Command::Close { id, by, reply }).await.unwrap_or(false)
    }

    /// Ends the sessions of those who may no longer watch.
    pub async fn retain(&self, may_watch: impl Fn(&Holder) -> bool + Send + 'static) {
        let may_watch = Box::new(may_watch);
        let _ = self.commands.send(Command::Retain { may_watch }).await;
    }

    /// Why a session was ended here, if that was not long ago and nobody had asked for it.
    pub async fn why_ended(&self, id: String, by: Holder) -> Option<String> {
        self.ask(|reply| Command::WhyEnded { id, by, reply }).await.flatten()
    }

    /// Ends all sessions.
    pub async fn close_all(&self) {
        let _ = self.ask(|reply| Command::CloseAll { reply }).await;
    }

    /// Pauses or resumes a session's video; `None` when there is no such session.
    pub async fn steer(
        &self,
        id: String,
        active: Option<bool>,
        direction: Option<sdp::Direction>,
    ) -> Option<SessionReport> {
        self.ask(|reply| Command::Steer { id, active, direction, reply }).await.flatten()
    }

    /// Uses other STUN and TURN servers from now on.
    pub async fn set_ice_servers(&self, servers: Vec<servers::IceServer>) {
        let _ = self.commands.send(Command::IceServers(servers)).await;
    }

    /// All sessions, the oldest first.
    pub async fn sessions(&self) -> Vec<SessionReport> {
        self.ask(|reply| Command::Report { which: None, reply }).await.unwrap_or_default()
    }

    /// One session of `by`.
    pub async fn session(&self, id: String, by: Holder) -> Option<SessionReport> {
        let found = self.ask(|reply| Command::Report { which: Some((id, by)), reply }).await;
        found?.into_iter().next()
    }

    /// Comes back once the thread has answered: with false when it has ended.
    pub async fn answers(&self) -> bool {
        // The shortest question there is: a session without a name.
        let nobody = (String::new(), Holder::viewer([0; 16]));
        self.ask(|reply| Command::Report { which: Some(nobody), reply }).await.is_some()
    }

    async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(make(reply)).await.ok()?;
        answer.await.ok()
    }

    /// Tells every viewer goodbye and ends the thread, within about a second.
    pub async fn stop(&self) {
        let _ = self.commands.send(Command::Stop).await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else {
            return;
        };
        let joined = tokio::task::spawn_blocking(move || thread.join());
        match tokio::time::timeout(STOP_WITHIN, joined).await {
            Ok(Ok(Ok(()))) => {}
            Ok(_) => log::error!("the rtc thread had crashed"),
            Err(_) => log::warn!("some viewers could not be told goodbye in time"),
        }
    }
}
