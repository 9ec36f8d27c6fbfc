//! One viewer's session, as a machine without socket or clock: datagrams and moments go in,
//! datagrams and the next moment to wake it come out.
//!
//! The WebRTC library does what is the same for everybody and full of traps: ICE, the DTLS
//! handshake, opening the viewer's RTCP. It is given a description without any media to send, so
//! it can never seal a packet under a key that [`Egress`] uses too. What is particular to a
//! camera is done here: which picture goes out when, and in [`feedback`] what the viewer's feedback
//! means.

mod checks;
mod feedback;
mod ice;
mod report;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use str0m::net::Receive;
use str0m::rtp::RawPacket;
use str0m::{
    Candidate, Event, IceConnectionState, IceCreds, Input, Output, Rtc, RtcConfig, RtcError,
};

use crate::hub::{Delivery, Published, Viewer};
use crate::media::MediaTime;
use crate::media::h264::ProfileLevel;
use crate::rtc::batch::Batch;
use crate::rtc::egress::{Egress, StreamParameters};
use crate::rtc::holder::{Caller, Holder};
use crate::rtc::keys;
use crate::rtc::pace::{KeyRequests, Pacer};
use crate::rtc::packetize::Cut;
use crate::rtc::path::Path;
use crate::rtc::report::StatsReport;
use crate::rtc::sdp::answer::AnsweredOffer;
use crate::rtc::sdp::{Credentials, Direction, Offer, Setup, Transport};
use checks::Checks;
use feedback::FeedbackBudget;

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

/// Where a session's datagrams go.
pub(in crate::rtc) trait Wire {
    /// Sends `bytes` on `path`, cut every `segment` bytes.
    fn send(&mut self, path: Path, bytes: &[u8], segment: usize);
}

/// Gives each picture in its cut form, cut once for all sessions.
pub(in crate::rtc) trait Cutter {
    fn cut(&mut self, picture: &Arc<Published>) -> Arc<Cut>;
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rtc) enum End {
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

pub(in crate::rtc) struct Session {
    id: String,
    /// Whose it is.
    by: Caller,
    rtc: Rtc,
    phase: Phase,
    /// Why the viewer cannot connect, where nobody was told yet.
    trouble: Option<String>,
    ice: IceConnectionState,
    created: Instant,
    /// When the viewer was connected.
    connected: Option<Instant>,
    wake_library: Instant,
    next_report: Option<Instant>,
    /// The candidate pair in use.
    path: Option<Path>,
    checks: Checks,
    parameters: StreamParameters,
    mid: String,
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
    egress: Option<Egress>,
    viewer: Viewer,
    /// A picture of which some is still to be sent.
    under_way: Option<(Arc<Cut>, usize)>,
    pacer: Pacer,
    key_requests: KeyRequests,
    direction: Direction,
    active: bool,
    stats: StatsReport,
    rtt: Option<Duration>,
    batch: Batch,
}

/// What a session is made from, besides the offer.
pub(in crate::rtc) struct Setting {
    pub(in crate::rtc) id: String,
    pub(in crate::rtc) by: Caller,
    pub(in crate::rtc) config: RtcConfig,
    pub(in crate::rtc) local: Credentials,
    pub(in crate::rtc) parameters: StreamParameters,
    pub(in crate::rtc) viewer: Viewer,
}

impl Session {
    /// Takes up an offer.
    ///
    /// # Errors
    /// When the library will not have what the offer says; `Offer::parse` lets little through.
    pub(in crate::rtc) fn new(
        offer: &Offer,
        setting: Setting,
        now: Instant,
    ) -> Result<Self, String> {
        let Setting { id, by, config, local, parameters, viewer } = setting;
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
            rtc,
            phase: Phase::Connecting,
            trouble: None,
            ice: IceConnectionState::New,
            created: now,
            connected: None,
            wake_library: now + FIRST_CHECK_AFTER,
            next_report: None,
            path: None,
            checks: Checks::new(offer.len, offer.ice_lite),
            parameters,
            mid: offer.video().mid.clone(),
            answered: AnsweredOffer::from(offer),
            ice_role: if offer.ice_lite { "controlling" } else { "controlled" },
            others: offer.bundled_transports(),
            remote,
            local,
            local_candidates: Vec::new(),
            trickled: 0,
            feedback_budget: FeedbackBudget::default(),
            egress: None,
            viewer,
            under_way: None,
            pacer: Pacer::default(),
            key_requests: KeyRequests::default(),
            direction: Direction::SendOnly,
            active: true,
            stats: StatsReport::default(),
            rtt: None,
            batch: Batch::default(),
        };
        session.describe(offer.ice_lite)?;
        session.viewer.request_key_picture();
        Ok(session)
    }

    /// Whether a stream of this profile may go under the payload type that was agreed on.
    pub(in crate::rtc) fn suits(&self, stream: ProfileLevel) -> bool {
        self.parameters.payload.profile_level.decodes(stream)
    }

    pub(in crate::rtc) fn caller(&self) -> Caller {
        self.by
    }

    pub(in crate::rtc) fn holder(&self) -> Holder {
        self.by.holder
    }

    pub(in crate::rtc) fn id(&self) -> &str {
        &self.id
    }

    /// The strong entity tag of the running ICE session (RFC 9725 §4.3.1).
    pub(in crate::rtc) fn etag(&self) -> String {
        format!("\"{}\"", self.local.ufrag)
    }

    /// The tag of the video's section.
    pub(in crate::rtc) fn mid(&self) -> &str {
        &self.mid
    }

    pub(in crate::rtc) fn answered(&self) -> &AnsweredOffer {
        &self.answered
    }

    pub(in crate::rtc) fn local(&self) -> &Credentials {
        &self.local
    }

    /// Whether these are credentials of the viewer's running ICE session.
    pub(in crate::rtc) fn knows(&self, credentials: &Credentials) -> bool {
        std::iter::once(&self.remote).chain(&self.others).any(|t| t.credentials == *credentials)
    }

    /// The role in the DTLS handshake that the answer tells.
    pub(in crate::rtc) fn setup(&self) -> Setup {
        self.remote.setup.answered()
    }

    pub(in crate::rtc) fn fingerprint(&mut self) -> String {
        self.rtc.direct_api().local_dtls_fingerprint().to_string()
    }

    pub(in crate::rtc) fn is_connecting(&self) -> bool {
        self.phase == Phase::Connecting
    }

    pub(in crate::rtc) fn is_connected(&self) -> bool {
        self.phase == Phase::Connected
    }

    /// Whether its end has begun.
    pub(in crate::rtc) fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing(_) | Phase::Ended(_))
    }

    /// Whether and why it is over; it can then be dropped.
    pub(in crate::rtc) fn ended(&self) -> Option<End> {
        match self.phase {
            Phase::Ended(end) => Some(end),
            _ => None,
        }
    }

    pub(in crate::rtc) fn remote_ip(&self) -> Option<IpAddr> {
        self.path.map(|p| p.remote.ip())
    }

    /// Takes in a datagram.
    pub(in crate::rtc) fn receive(&mut self, now: Instant, path: Path, datagram: &[u8]) {
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
    pub(in crate::rtc) fn tick(&mut self, now: Instant) {
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

    /// Until when the viewer is taken to want what it is sent: every check that it answers on the
    /// path in use renews that, and nothing else does.
    fn consent_until(&self) -> Instant {
        let answered = self.path.and_then(|path| self.checks.last_answer(path));
        answered.max(self.connected).unwrap_or(self.created) + CONSENT
    }

    fn feed(&mut self, input: Input<'_>, now: Instant) {
        if let Err(error) = self.rtc.handle_input(input) {
            self.tell(&error);
            // Anybody can send a datagram that makes no sense in somebody else's name. It must
            // not end the session unless the library itself has given up.
            if !self.rtc.is_alive() {
                self.fail();
            }
        }
        // What it has to say is fetched by `converse`.
        self.wake_library = now;
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

    /// Why the viewer cannot connect, in plain words, if that was found out since it was last asked.
    pub(in crate::rtc) fn take_trouble(&mut self) -> Option<String> {
        self.trouble.take()
    }

    fn fail(&mut self) {
        if self.ended().is_none() {
            self.phase = Phase::Ended(End::Failed);
        }
    }

    /// Says goodbye. The session ends when that is out.
    pub(in crate::rtc) fn close(&mut self, now: Instant) {
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

    /// Pauses or resumes the video, or changes what the owner wants of its direction.
    pub(in crate::rtc) fn steer(&mut self, active: Option<bool>, direction: Option<Direction>) {
        let was = self.sending();
        self.active = active.unwrap_or(self.active);
        self.direction = direction.unwrap_or(self.direction);
        if self.sending() && !was {
            self.viewer.rejoin();
            self.viewer.request_key_picture();
        }
        if !self.sending() {
            self.under_way = None;
        }
    }

    fn sending(&self) -> bool {
        self.active && matches!(self.direction, Direction::SendOnly | Direction::SendRecv)
    }

    /// Sends what there is to send of the stream.
    pub(in crate::rtc) fn stream(
        &mut self,
        now: Instant,
        cutter: &mut impl Cutter,
        wire: &mut impl Wire,
    ) {
        if self.phase == Phase::Connected {
            self.send_report(now);
            self.send_pictures(now, cutter);
        }
        self.send_batch(wire);
    }

    /// Sends what else there is to send, and takes note of what has happened.
    pub(in crate::rtc) fn converse(&mut self, now: Instant, wire: &mut impl Wire) {
        if now < self.wake_library {
            return;
        }
        loop {
            let output = self.rtc.poll_output();
            if let Some(keys) = keys::take() {
                self.start_stream(&keys);
            }
            match output {
                Ok(Output::Timeout(at)) => {
                    self.wake_library = at;
                    break;
                }
                Ok(Output::Transmit(transmit)) => {
                    let stun = transmit.contents.first().is_some_and(|b| *b < 4);
                    let path = Path {
                        protocol: transmit.proto,
                        local: transmit.source,
                        remote: transmit.destination,
                    };
                    if !stun {
                        self.path = Some(path);
                    }
                    if !self.checks.allow(path, &transmit.contents) {
                        continue;
                    }
                    wire.send(path, &transmit.contents, transmit.contents.len());
                }
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

    fn start_stream(&mut self, keys: &keys::Keys) {
        let mut first = [0; 2];
        let filled = aws_lc_rs::rand::fill(&mut first);
        match (keys.sealer(), filled) {
            (Ok(sealer), Ok(())) if self.egress.is_none() => {
                let first = u16::from_be_bytes(first);
                self.egress = Some(Egress::new(self.parameters.clone(), sealer, first));
            }
            // A second handshake would mean new keys for old packet numbers.
            _ => self.fail(),
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

    fn send_report(&mut self, now: Instant) {
        if self.next_report.is_none_or(|at| now < at) {
            return;
        }
        self.next_report = Some(now + REPORT_EVERY);
        if let Some(egress) = &mut self.egress
            && egress.sender_report(MediaTime::now(), wall_clock(), &mut self.batch).is_err()
        {
            self.phase = Phase::Ended(End::Failed);
        }
    }

    fn send_pictures(&mut self, now: Instant, cutter: &mut impl Cutter) {
        if !self.sending() || self.path.is_none() || self.ice.is_disconnected() {
            return;
        }
        let Some(egress) = &mut self.egress else {
            return;
        };
        let time = MediaTime::now();
        loop {
            let (cut, done) = match self.under_way.take() {
                Some(under_way) => under_way,
                None => match self.viewer.next(time) {
                    Delivery::Nothing => return,
                    Delivery::Picture(picture) => (cutter.cut(&picture), 0),
                    Delivery::Skipped(picture) => {
                        self.stats.skips += 1;
                        (cutter.cut(&picture), 0)
                    }
                },
            };
            let end = self.pacer.take(&cut, done, now);
            if end > done && egress.picture(&cut, done..end, time, &mut self.batch).is_err() {
                self.phase = Phase::Ended(End::Failed);
                return;
            }
            if done == 0 && end > 0 && self.stats.time_to_first_picture.is_none() {
                let taken = now.saturating_duration_since(self.created);
                self.stats.time_to_first_picture = Some(taken.as_secs_f64());
            }
            if end < cut.chunks.len() {
                self.under_way = Some((cut, end));
                return;
            }
        }
    }

    fn send_batch(&mut self, wire: &mut impl Wire) {
        if let Some(path) = self.path {
            for (bytes, segment) in self.batch.runs() {
                wire.send(path, bytes, segment);
            }
        }
        self.batch.clear();
    }

    /// When to call [`Session::tick`], [`Session::converse`] and [`Session::stream`] next, if nothing
    /// comes before.
    pub(in crate::rtc) fn wake_at(&self, now: Instant) -> Instant {
        let own = match self.phase {
            Phase::Connecting => self.created + CONNECT_WITHIN,
            Phase::Connected => self.consent_until(),
            Phase::Closing(until) => until,
            Phase::Ended(_) => now,
        };
        let mut at = own.min(self.wake_library);
        if self.phase == Phase::Connected {
            at = self.next_report.map_or(at, |report| at.min(report));
            if self.under_way.is_some() {
                at = at.min(self.pacer.ready_at(now));
            }
        }
        at
    }
}

fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
