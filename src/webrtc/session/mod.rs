//! One viewer's session, as a machine without socket or clock: datagrams and moments go in,
//! datagrams and the next moment to wake it come out.
//!
//! The WebRTC library does what is the same for everybody and full of traps: ICE, the DTLS
//! handshake, opening the viewer's RTCP. It is given a description without any media to send, so
//! it can never encrypt a packet under a key that a [`Sender`] uses too. Each track has a [`Sender`];
//! what the viewer's feedback means is in [`feedback`].

mod checks;
mod feedback;
mod feedback_budget;
mod ice;
mod report;
mod sender;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::net::{Receive, Transmit};
use str0m::rtp::RawPacket;
use str0m::{
    Candidate, Event, IceConnectionState, IceCreds, Input, Output, Rtc, RtcConfig, RtcError,
};

use crate::hub::{Layer, Viewer};
use crate::media::h264::ProfileLevel;
use crate::media::{MediaTime, utc_now};
use crate::rtp::{DatagramBatch, Packetizer, ProtectionError};
use crate::web::Holder;
use crate::webrtc::caller::Caller;
use crate::webrtc::ice_transport::IceTransport;
use crate::webrtc::keys;
use crate::webrtc::pace::Pacer;
use crate::webrtc::path::Path;
use crate::webrtc::report::StatsReport;
use crate::webrtc::sdp::answer::AnsweredOffer;
use crate::webrtc::sdp::{Credentials, Direction, NegotiatedTrack, Offer, Setup, Transport};
use checks::Checks;
use feedback_budget::FeedbackBudget;
use sender::Sender;

/// An offer that has not become a connection by then is forgotten.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// The first connectivity check is held back this long, or until the viewer's own arrives: the
/// viewer cannot answer one before it has our answer, and the library repeats an unanswered check
/// only after 250 ms.
const FIRST_CHECK_AFTER: Duration = Duration::from_millis(100);

/// Consent (RFC 7675 §5.1): without an answer for this long, nothing more is sent and the session
/// ends.
const CONSENT: Duration = Duration::from_secs(30);

/// How often the state of the connection is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Sender reports: one soon, so that the viewer can relate the stream to the wall clock, then
/// rarely.
const FIRST_REPORT_AFTER: Duration = Duration::from_millis(50);
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// How long a session that says goodbye may take to get it out.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::webrtc) enum End {
    NeverConnected,
    ClosedByViewer,
    ClosedHere,
    ConsentLost,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Connected,
    /// Saying goodbye until then at the latest.
    Closing(Instant),
    Ended(End),
}

pub(in crate::webrtc) struct Session {
    id: String,
    /// Whose it is.
    by: Caller,
    /// Which of the engine's cameras it watches.
    camera: usize,
    rtc: Rtc,
    /// What the library has to say to the viewer.
    outgoing: Vec<Transmit>,
    phase: Phase,
    /// Whether the viewer may watch, which is decided once it is connected.
    admitted: bool,
    /// Why the viewer cannot connect, where nobody was told yet.
    trouble: Option<String>,
    ice: IceConnectionState,
    /// The state that was told of last.
    told_state: &'static str,
    created: Instant,
    /// When the viewer was connected.
    connected: Option<Instant>,
    wake_library: Instant,
    next_report: Option<Instant>,
    /// The candidate pair in use.
    path: Option<Path>,
    checks: Checks,
    answered: AnsweredOffer,
    /// `RTCIceRole`.
    ice_role: &'static str,
    /// What the viewer's side is taken to be.
    remote: Transport,
    /// What else it may turn out to be: before the answer, bundled sections have transports of
    /// their own, and the viewer then uses one of them.
    others: Vec<Transport>,
    local: Credentials,
    local_candidates: Vec<Candidate>,
    /// Candidates of the viewer's that came after its offer or restart.
    trickled: usize,
    feedback_budget: FeedbackBudget,
    senders: Vec<Sender>,
    pacer: Pacer,
    time_to_first_picture: Option<Duration>,
    available_bitrate: Option<u64>,
    rtt: Option<Duration>,
}

/// What a session is made from, besides the offer.
pub(in crate::webrtc) struct Setting {
    pub(in crate::webrtc) id: String,
    pub(in crate::webrtc) by: Caller,
    pub(in crate::webrtc) config: RtcConfig,
    pub(in crate::webrtc) local: Credentials,
    pub(in crate::webrtc) camera: usize,
    /// The tracks that are sent.
    pub(in crate::webrtc) tracks: Vec<(NegotiatedTrack, Viewer)>,
}

impl Session {
    /// Takes up an offer.
    ///
    /// # Errors
    /// When the library will not have what the offer says; `Offer::parse` lets little through.
    pub(in crate::webrtc) fn new(
        offer: &Offer,
        setting: Setting,
        now: Instant,
    ) -> Result<Self, String> {
        let Setting { id, by, config, local, camera, tracks } = setting;
        let creds = IceCreds { ufrag: local.ufrag.clone(), pass: local.pwd.clone() };
        let rtc = config
            .set_local_ice_credentials(creds)
            .set_stats_interval(Some(LOOK_EVERY))
            .enable_raw_packets(true)
            .build(now);
        let remote = offer.transport().map_err(|e| e.to_string())?;
        let mut session = Self {
            id,
            by,
            camera,
            rtc,
            outgoing: Vec::new(),
            phase: Phase::Connecting,
            admitted: false,
            trouble: None,
            ice: IceConnectionState::New,
            told_state: "",
            created: now,
            connected: None,
            wake_library: now + FIRST_CHECK_AFTER,
            next_report: None,
            path: None,
            checks: Checks::new(offer.len, offer.ice_lite),
            answered: AnsweredOffer::from(offer),
            ice_role: if offer.ice_lite { "controlling" } else { "controlled" },
            others: offer.bundled_transports(),
            remote,
            local,
            local_candidates: Vec::new(),
            trickled: 0,
            feedback_budget: FeedbackBudget::default(),
            senders: tracks.into_iter().map(|(track, viewer)| Sender::new(track, viewer)).collect(),
            pacer: Pacer::default(),
            time_to_first_picture: None,
            available_bitrate: None,
            rtt: None,
        };
        session.describe(offer.ice_lite)?;
        Ok(session)
    }

    /// Whether a stream of this profile may go under the payload type that was agreed on.
    pub(in crate::webrtc) fn suits(&self, stream: ProfileLevel) -> bool {
        self.senders.iter().all(|s| s.track.payload.profile_level.decodes(stream))
    }

    /// Which of the engine's cameras it watches.
    pub(in crate::webrtc) fn camera(&self) -> usize {
        self.camera
    }

    pub(in crate::webrtc) fn caller(&self) -> Caller {
        self.by
    }

    pub(in crate::webrtc) fn holder(&self) -> Holder {
        self.by.holder
    }

    pub(in crate::webrtc) fn id(&self) -> &str {
        &self.id
    }

    /// The strong entity tag of the running ICE session (RFC 9725 §4.3.1).
    pub(in crate::webrtc) fn etag(&self) -> String {
        format!("\"{}\"", self.local.ufrag)
    }

    pub(in crate::webrtc) fn answered(&self) -> &AnsweredOffer {
        &self.answered
    }

    pub(in crate::webrtc) fn local(&self) -> &Credentials {
        &self.local
    }

    /// Whether these are credentials of the viewer's running ICE session.
    pub(in crate::webrtc) fn knows(&self, credentials: &Credentials) -> bool {
        std::iter::once(&self.remote).chain(&self.others).any(|t| t.credentials == *credentials)
    }

    /// The role in the DTLS handshake that the answer tells.
    pub(in crate::webrtc) fn setup(&self) -> Setup {
        self.remote.setup.answered()
    }

    pub(in crate::webrtc) fn fingerprint(&mut self) -> String {
        self.rtc.direct_api().local_dtls_fingerprint().to_string()
    }

    pub(in crate::webrtc) fn is_connecting(&self) -> bool {
        self.phase == Phase::Connecting || self.awaits_admission()
    }

    /// Whether the connection is there, and nobody has said yet whether the viewer may watch.
    pub(in crate::webrtc) fn awaits_admission(&self) -> bool {
        self.phase == Phase::Connected && !self.admitted
    }

    /// Lets the viewer watch.
    pub(in crate::webrtc) fn admit(&mut self) {
        self.admitted = true;
    }

    /// Whether somebody watches.
    pub(in crate::webrtc) fn is_connected(&self) -> bool {
        self.phase == Phase::Connected && self.admitted
    }

    /// Whether its end has begun.
    pub(in crate::webrtc) fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing(_) | Phase::Ended(_))
    }

    /// Whether and why it is over; it can then be dropped.
    pub(in crate::webrtc) fn ended(&self) -> Option<End> {
        match self.phase {
            Phase::Ended(end) => Some(end),
            _ => None,
        }
    }

    pub(in crate::webrtc) fn remote_ip(&self) -> Option<IpAddr> {
        self.path.map(|p| p.remote.ip())
    }

    /// Takes in a datagram.
    pub(in crate::webrtc) fn receive(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        if !self.others.is_empty() {
            self.recognize(datagram);
        }
        // RFC 7983 §7: SRTCP, of which a viewer in its senses sends little.
        if matches!(datagram, [128..=191, ..]) && self.feedback_budget.is_spent(now) {
            return;
        }
        self.checks.heard(path, datagram);
        if !self.checks.answered(path, datagram, &self.remote.credentials.pwd, now) {
            return;
        }
        let Path { protocol, local, remote } = path;
        // What is no datagram of WebRTC says nothing.
        let Ok(receive) = Receive::new(protocol, remote, local, datagram) else { return };
        self.feed(Input::Receive(now, receive), now);
    }

    /// Lets time pass.
    pub(in crate::webrtc) fn tick(&mut self, now: Instant) {
        if now >= self.wake_library {
            self.feed(Input::Timeout(now), now);
        }
        match self.phase {
            Phase::Connecting if now >= self.created + CONNECT_WITHIN => {
                self.phase = Phase::Ended(End::NeverConnected);
            }
            Phase::Connected if now >= self.consent_until() => {
                self.phase = Phase::Ended(End::ConsentLost);
            }
            Phase::Closing(until) if now >= until => self.phase = Phase::Ended(End::ClosedHere),
            _ => {}
        }
    }

    /// Whether it failed, or has something to send that must wait.
    pub(in crate::webrtc) fn needs_serving(&self) -> bool {
        self.ended().is_some() || self.senders.iter().any(Sender::is_held_back)
    }

    /// Until when the viewer is taken to want what it is sent: every check that it answers on the
    /// path in use renews that, and nothing else does.
    fn consent_until(&self) -> Instant {
        let answered = self.path.and_then(|path| self.checks.last_answer(path));
        answered.max(self.connected).unwrap_or(self.created) + CONSENT
    }

    /// Gives the library an input, and takes all that it has to say to it: it expects that before the
    /// next one.
    fn feed(&mut self, input: Input<'_>, now: Instant) {
        if let Err(error) = self.rtc.handle_input(input) {
            self.tell(&error);
            // Anybody can send a datagram that makes no sense in somebody else's name. It must
            // not end the session unless the library itself has given up.
            if !self.rtc.is_alive() {
                self.fail();
            }
        }
        self.drain(now);
    }

    /// Logs what the library says is wrong, and finds plain words for why the viewer cannot connect.
    fn tell(&mut self, error: &RtcError) {
        log::debug!("session {}: {error}", self.id);
        let reason = keys::trouble().or_else(|| match error {
            RtcError::RemoteSdp(why) if why == "remote fingerprint no match" => {
                Some("its certificate is not the one whose fingerprint is in its offer".into())
            }
            RtcError::RemoteSdp(why) if why.starts_with("unsupported fingerprint") => {
                Some("the fingerprint in its offer is of neither sha-256 nor sha-1".into())
            }
            _ => None,
        });
        if let Some(reason) = reason
            && self.phase == Phase::Connecting
        {
            self.trouble.get_or_insert(reason);
            // It has shown who it is, and that is not who was announced.
            if matches!(error, RtcError::RemoteSdp(_)) {
                self.fail();
            }
        }
    }

    /// `RTCPeerConnectionState`, if it is another than when this was last asked.
    pub(in crate::webrtc) fn take_state_change(&mut self) -> Option<&'static str> {
        let state = self.connection_state();
        (std::mem::replace(&mut self.told_state, state) != state).then_some(state)
    }

    /// Why the viewer cannot connect, in plain words, if that was found out since it was last asked.
    pub(in crate::webrtc) fn take_trouble(&mut self) -> Option<String> {
        self.trouble.take()
    }

    /// Ends here and now, without a word to the viewer.
    pub(in crate::webrtc) fn end(&mut self, end: End) {
        if self.ended().is_none() {
            self.phase = Phase::Ended(end);
        }
    }

    fn fail(&mut self) {
        self.end(match self.phase {
            // It was told to be closed, and stays that.
            Phase::Closing(_) => End::ClosedHere,
            _ => End::Failed,
        });
    }

    /// Says goodbye. The session ends when that is out.
    pub(in crate::webrtc) fn close(&mut self, now: Instant) {
        match self.phase {
            Phase::Connected => {
                self.phase = Phase::Closing(now + CLOSE_WITHIN);
                if self.rtc.close().is_err() {
                    self.phase = Phase::Ended(End::ClosedHere);
                }
                self.wake_library = now;
            }
            Phase::Connecting => self.phase = Phase::Ended(End::ClosedHere),
            Phase::Closing(_) | Phase::Ended(_) => {}
        }
    }

    /// Pauses or resumes the tracks, or changes what the owner wants of them.
    pub(in crate::webrtc) fn steer(
        &mut self,
        active: Option<bool>,
        direction: Option<Direction>,
        layer: Option<Layer>,
    ) {
        for sender in &mut self.senders {
            sender.steer(active, direction);
            if let Some(layer) = layer {
                sender.switch_to(layer);
            }
        }
    }

    /// Takes what the library has to say, and takes note of what has happened.
    fn drain(&mut self, now: Instant) {
        loop {
            let output = self.rtc.poll_output();
            if let Some(keys) = keys::take() {
                self.start_senders(&keys);
            }
            match output {
                Ok(Output::Timeout(at)) => {
                    self.wake_library = at;
                    break;
                }
                Ok(Output::Transmit(transmit)) => self.outgoing.push(transmit),
                Ok(Output::Event(event)) => self.event(event, now),
                Err(error) => {
                    self.tell(&error);
                    self.fail();
                    break;
                }
            }
        }
        if !self.rtc.is_alive() && self.ended().is_none() {
            self.phase = Phase::Ended(match self.phase {
                Phase::Closing(_) => End::ClosedHere,
                _ => End::ClosedByViewer,
            });
        }
    }

    /// Sends what the library has to say.
    pub(in crate::webrtc) fn flush(&mut self, transport: &mut IceTransport) {
        for transmit in self.outgoing.drain(..) {
            let stun = transmit.contents.first().is_some_and(|b| *b < 4);
            let path = Path {
                protocol: transmit.proto,
                local: transmit.source,
                remote: transmit.destination,
            };
            if !stun {
                self.path = Some(path);
            }
            if self.checks.allow(path, &transmit.contents) {
                transport.send(path, &transmit.contents, transmit.contents.len());
            }
        }
    }

    /// Sends what there is to send of the tracks.
    pub(in crate::webrtc) fn stream(
        &mut self,
        now: Instant,
        packetizer: &mut Packetizer,
        batch: &mut DatagramBatch,
        transport: &mut IceTransport,
    ) {
        let Some(path) = self.path.filter(|_| self.is_connected()) else { return };
        if self.send_samples(now, packetizer, batch).is_err() {
            self.fail();
        }
        for (bytes, segment) in batch.runs() {
            transport.send(path, bytes, segment);
        }
        batch.clear();
    }

    fn send_samples(
        &mut self,
        now: Instant,
        packetizer: &mut Packetizer,
        batch: &mut DatagramBatch,
    ) -> Result<(), ProtectionError> {
        let time = MediaTime::now();
        if self.next_report.is_some_and(|at| now >= at) {
            self.next_report = Some(now + REPORT_EVERY);
            let wall = utc_now();
            self.senders.iter_mut().try_for_each(|s| s.report(time, wall, batch))?;
        }
        let rtt = self.rtt.unwrap_or_default();
        self.senders.iter_mut().try_for_each(|s| s.resend(rtt, time, batch))?;
        if self.ice.is_disconnected() {
            return Ok(());
        }
        let mut sent = false;
        for sender in self.senders.iter_mut().filter(|s| s.is_sending()) {
            sent |= sender.send(now, time, &mut self.pacer, packetizer, batch)?;
        }
        if sent {
            let since = now.saturating_duration_since(self.created);
            self.time_to_first_picture.get_or_insert(since);
        }
        Ok(())
    }

    fn start_senders(&mut self, keys: &keys::Keys) {
        let Ok(sealer) = keys.sealer().map(Arc::new) else { return self.fail() };
        for sender in &mut self.senders {
            let mut first = [0; 2];
            let filled = aws_lc_rs::rand::fill(&mut first).is_ok();
            if !filled || !sender.start(sealer.clone(), u16::from_be_bytes(first)) {
                return self.fail();
            }
        }
    }

    fn event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Connected if self.phase == Phase::Connecting => {
                self.phase = Phase::Connected;
                self.connected = Some(now);
                self.next_report = Some(now + FIRST_REPORT_AFTER);
            }
            Event::IceConnectionStateChange(state) => self.ice = state,
            Event::PeerStats(stats) => {
                if let Some(pair) = stats.selected_candidate_pair {
                    let (local, remote) = (pair.local.addr, pair.remote.addr);
                    let told = Path { protocol: pair.protocol, local, remote };
                    self.path = Some(self.checks.path(told));
                    self.rtt = pair.current_round_trip_time.or(self.rtt);
                }
            }
            Event::RawPacket(packet) => {
                if let RawPacket::RtcpRx(rtcp) = *packet {
                    self.feedback(rtcp, now);
                }
            }
            Event::Closed if self.ended().is_none() => {
                self.phase = Phase::Ended(End::ClosedByViewer);
            }
            _ => {}
        }
    }

    /// When to call [`Session::tick`], [`Session::flush`] and [`Session::stream`] next, if nothing
    /// comes before.
    pub(in crate::webrtc) fn wake_at(&self, now: Instant) -> Instant {
        let own = match self.phase {
            Phase::Connecting => self.created + CONNECT_WITHIN,
            Phase::Connected => self.consent_until(),
            Phase::Closing(until) => until,
            Phase::Ended(_) => now,
        };
        let mut at = own.min(self.wake_library);
        if self.phase == Phase::Connected {
            at = self.next_report.map_or(at, |report| at.min(report));
            if self.senders.iter().any(Sender::is_held_back) {
                at = at.min(self.pacer.ready_at(now));
            }
        }
        at
    }
}
