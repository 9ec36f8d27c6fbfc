//! WebRTC sessions: one UDP socket, one thread, any number of viewers; and a TCP port for those
//! whom UDP does not reach ([`tcp`]).
//!
//! In come offers from the [`http`](crate::http) side and pictures from the [`hub`](crate::hub);
//! out go answers, and RTP to every viewer. It is the only room that names the WebRTC library.
//!
//! Following one offer: [`WebRtc::offer`] hands it to the [`engine`], which finds it a place
//! ([`admission`]), reads it ([`sdp`]), waits for the stream's SPS ([`waiting`]), lists this
//! machine's addresses ([`candidates`]), makes a [`session`] with a sender for each track and writes
//! the answer. Following one picture: the engine wakes, each session takes it from its place in the
//! hub, has it packetized once for all, writes and encrypts its packets ([`rtp`](crate::rtp),
//! [`srtp`]) into a batch, and the batch leaves through the [`ice_transport`] in as few system calls as
//! the kernel allows ([`udp`]).

mod admission;
mod caller;
mod candidates;
mod command;
mod counts;
mod demux;
mod engine;
mod ice_transport;
mod keys;
mod pace;
mod path;
mod report;
pub mod sdp;
mod session;
mod settings;
mod srtp;
pub mod stun_turn;
mod tcp;
mod udp;
mod waiting;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

pub use caller::Caller;
pub use candidates::SignallingPath;
pub use command::{Answer, IfMatch, OfferError, PatchError, Patched};
pub use counts::Totals;
pub use report::{
    EncodingReport, SenderReport, SessionReport, StatsReport, TrackReport, TransceiverReport,
    TransportReport,
};
pub use settings::{WatchedCamera, WebRtcSettings};

#[cfg(fuzzing)]
pub use keys::fuzz::handshake as fuzz_dtls;

pub use crate::web::Holder;

use crate::events::Events;
use crate::hub::{Layer, PublishSignal};
use crate::media::DelaySummary;
use command::{Command, OfferReply};
use counts::CameraCounts;
use engine::{Engine, EngineParts};
use tcp::Tcp;
use udp::UdpTransport;

/// How long the end may take: a session has a second to say goodbye.
const STOP_WITHIN: Duration = Duration::from_millis(1100);

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

/// Why a port cannot be opened, and what to do.
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
pub struct WebRtc {
    commands: mpsc::Sender<Command>,
    counts: Vec<(Arc<str>, Arc<CameraCounts>)>,
    datagrams_dropped: Arc<AtomicU64>,
    port: u16,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl WebRtc {
    /// Opens the socket and starts the thread, which serves the viewers of all `cameras`. Their hubs
    /// give `signal`.
    ///
    /// # Errors
    /// When the port cannot be had, or the system lacks what WebRTC needs.
    pub fn start(
        settings: WebRtcSettings,
        cameras: Vec<WatchedCamera>,
        signal: PublishSignal,
        events: Events,
    ) -> Result<Self, StartError> {
        let other = |e: &dyn std::fmt::Display| StartError::Other(e.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| other(&e))?;
        let (udp, tcp) = {
            let _inside = runtime.enter();
            let bind = || {
                let udp = UdpTransport::bind(settings.udp_port, settings.ipv6)
                    .map_err(|why| StartError::Bind { port: settings.udp_port, why })?;
                let tcp = settings.tcp.then(|| Tcp::listen(udp.port(), udp.ipv6()));
                Ok::<_, StartError>((udp, tcp))
            };
            let (mut udp, mut tcp) = bind()?;
            // Of any number that will do, not each that is free for UDP is free for TCP.
            for _ in 0..PORTS_TRIED {
                if settings.udp_port == 0 && matches!(tcp, Some(Err(_))) {
                    (udp, tcp) = bind()?;
                }
            }
            // Viewers can do without it; most never use it.
            let tcp = tcp.and_then(|listening| match listening {
                Ok(tcp) => Some(tcp),
                Err(error) => {
                    let port = udp.port();
                    log::warn!(
                        "viewers cannot connect by TCP: port {port}: {error}; set webrtc.udp_port \
                         to a number that is free for TCP too"
                    );
                    None
                }
            });
            (udp, tcp)
        };
        let port = udp.port();
        let (commands, receiver) = mpsc::channel(QUEUE);
        let cameras: Vec<(WatchedCamera, Arc<CameraCounts>)> =
            cameras.into_iter().map(|camera| (camera, Arc::default())).collect();
        let counts = cameras.iter().map(|(c, counts)| (c.name.clone(), counts.clone())).collect();
        let datagrams_dropped = Arc::new(AtomicU64::new(0));
        let parts = EngineParts {
            settings,
            cameras,
            signal,
            udp,
            tcp,
            commands: receiver,
            events,
            datagrams_dropped: datagrams_dropped.clone(),
        };
        let engine = Engine::new(parts).map_err(|e| other(&e))?;
        let thread = std::thread::Builder::new()
            .name("webrtc".into())
            .spawn(move || runtime.block_on(engine.run()))
            .map_err(|e| other(&e))?;
        Ok(Self { commands, counts, datagrams_dropped, port, thread: Mutex::new(Some(thread)) })
    }

    /// The UDP port viewers send to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Counts of all cameras together, as of now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let sum: Totals = self.counts.iter().map(|(_, counts)| counts.totals()).sum();
        Totals { datagrams_dropped: self.datagrams_dropped.load(Ordering::Relaxed), ..sum }
    }

    /// Counts of one camera, as of now.
    #[must_use]
    pub fn totals_of(&self, camera: &str) -> Totals {
        self.of(camera).map(CameraCounts::totals).unwrap_or_default()
    }

    /// How long a camera's pictures took from the hub until all viewers' packets were with the
    /// kernel; what the pacer held back comes later.
    #[must_use]
    pub fn send_delays(&self, camera: &str) -> DelaySummary {
        self.of(camera).map(|counts| counts.delays.summary()).unwrap_or_default()
    }

    fn of(&self, camera: &str) -> Option<&CameraCounts> {
        self.counts.iter().find(|(name, _)| **name == *camera).map(|(_, counts)| &**counts)
    }

    /// Answers an offer to watch a camera.
    ///
    /// # Errors
    /// See [`OfferError`].
    pub async fn offer(
        &self,
        camera: Arc<str>,
        sdp: String,
        by: Caller,
    ) -> Result<Answer, OfferError> {
        let make = |reply| Command::Offer { camera, sdp, by, reply: OfferReply(reply) };
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
        fragment: &str,
        path: SignallingPath,
    ) -> Result<Patched, PatchError> {
        let fragment = sdp::Fragment::parse(fragment).map_err(PatchError::Sdp)?;
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

    /// Ends all sessions of a camera.
    pub async fn close_all(&self, camera: Arc<str>) {
        let _ = self.ask(|reply| Command::CloseAll { camera, reply }).await;
    }

    /// Pauses or resumes what a session is sent, or sends another layer of it; `None` when there is no
    /// such session.
    pub async fn steer(
        &self,
        id: String,
        active: Option<bool>,
        direction: Option<sdp::Direction>,
        layer: Option<Layer>,
    ) -> Option<SessionReport> {
        self.ask(|reply| Command::Steer { id, active, direction, layer, reply }).await.flatten()
    }

    /// Uses other STUN and TURN servers from now on.
    pub async fn set_ice_servers(&self, servers: Vec<stun_turn::IceServer>) {
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
            Ok(_) => log::error!("the webrtc thread had crashed"),
            Err(_) => log::warn!("some viewers could not be told goodbye in time"),
        }
    }
}
