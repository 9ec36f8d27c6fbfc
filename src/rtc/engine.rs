//! The thread that serves all viewers.
//!
//! It waits for whatever comes first: a datagram, a new picture in the hub, a command from the
//! HTTP side, or the moment a session asked to be woken at. Which session a datagram is for is
//! decided in [`demux`](super::demux).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::RtcConfig;
use str0m::config::DtlsCert;
use str0m::crypto::CryptoProvider;
use tokio::sync::{mpsc, watch};

use super::candidates::SignallingPath;
use super::command::{Answer, Command, IfMatch, OfferError, PatchError, Patched};
use super::demux::{Key, Owners};
use super::egress::StreamParameters;
use super::outside::Outside;
use super::packetize::Cut;
use super::report::SessionReport;
use super::sdp::{Credentials, Fragment, Offer, Payload, Refusal, answer};
use super::session::{Cutter, End, Session, Setting};
use super::tcp::Tcp;
use super::waiting::Waiting;
use super::wire::Wire;
use super::{RtcSettings, Totals};
use crate::hub::{Hub, Layer, Published, SourceState, Viewer};
use crate::media::h264::{NalType, ProfileLevel};
use crate::media::{Delays, MediaTime};

/// Offers that have not connected yet. Past it the oldest is dropped for the newest, so that a
/// flood of offers from nowhere keeps nobody out for longer than it takes to connect.
const MAX_CONNECTING: usize = 256;

/// Cut pictures kept for sessions that come for them a little later.
const MAX_CUTS: usize = 64;

/// How often the owner is told that viewers come in vain for one and the same reason, and how many
/// reasons are remembered for that.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(60);
const MAX_TOLD: usize = 16;

/// Datagrams handled before sessions are served again.
const MAX_READS: usize = 64;

pub(super) struct Engine {
    hub: Hub,
    settings: RtcSettings,
    outside: Outside,
    crypto: Arc<CryptoProvider>,
    certificate: DtlsCert,
    commands: mpsc::Receiver<Command>,
    sessions: HashMap<Key, Session>,
    next_key: Key,
    by_id: HashMap<String, Key>,
    owners: Owners,
    /// When each session wants to be woken.
    alarms: BTreeSet<(Instant, Key)>,
    alarm_of: HashMap<Key, Instant>,
    cuts: Cuts,
    waiting: Waiting,
    totals: watch::Sender<Totals>,
    delays: Arc<Delays>,
    /// The newest picture in `delays`.
    timed: Option<u64>,
    /// The stream that sessions were last found to suit.
    suited: Option<ProfileLevel>,
    /// Why viewers came in vain, as the owner was told of late, and when.
    told: VecDeque<(String, Instant)>,
    stopping: bool,
}

/// Pictures cut for sending, by their number in the stream.
#[derive(Default)]
struct Cuts {
    kept: VecDeque<Arc<Cut>>,
    /// What the newest key picture among them says of the stream.
    profile: Option<ProfileLevel>,
}

impl Cutter for Cuts {
    fn cut(&mut self, picture: &Arc<Published>) -> Arc<Cut> {
        let found = self.kept.iter().rev().find(|c| Arc::ptr_eq(&c.picture, picture));
        if let Some(cut) = found {
            return cut.clone();
        }
        let cut = Arc::new(Cut::new(picture.clone()));
        if picture.unit.is_key() {
            self.profile = profile_of(picture);
        }
        if self.kept.len() == MAX_CUTS {
            self.kept.pop_front();
        }
        self.kept.push_back(cut.clone());
        cut
    }
}

enum Event {
    Readable,
    Published,
    Command(Option<Command>),
    Alarm,
}

impl Engine {
    pub(super) fn new(
        hub: Hub,
        settings: RtcSettings,
        (wire, tcp): (Wire, Option<Tcp>),
        commands: mpsc::Receiver<Command>,
        totals: watch::Sender<Totals>,
    ) -> Result<Self, String> {
        let crypto = super::keys::crypto();
        let certificate =
            crypto.dtls_provider.generate_certificate().ok_or("cannot make a DTLS certificate")?;
        let (announce, servers) = (settings.announce.clone(), &settings.ice_servers);
        let outside = Outside::new(wire, tcp, announce, servers, Instant::now());
        Ok(Self {
            hub,
            settings,
            outside,
            crypto,
            certificate,
            commands,
            sessions: HashMap::new(),
            next_key: 0,
            by_id: HashMap::new(),
            owners: Owners::default(),
            alarms: BTreeSet::new(),
            alarm_of: HashMap::new(),
            cuts: Cuts::default(),
            waiting: Waiting::default(),
            totals,
            delays: Arc::default(),
            timed: None,
            suited: None,
            told: VecDeque::new(),
            stopping: false,
        })
    }

    /// How long pictures take from the hub to the kernel.
    pub(super) fn delays(&self) -> Arc<Delays> {
        self.delays.clone()
    }

    /// Serves until told to stop and every viewer has been told goodbye.
    pub(super) async fn run(mut self) {
        self.outside.serve(Instant::now());
        let mut arrivals = self.hub.arrivals();
        while !(self.stopping && self.sessions.is_empty()) {
            let alarm = self.next_alarm();
            // With nobody to send it to, a picture is no reason to wake up.
            let awaited = !self.sessions.is_empty() || self.waiting.len() > 0;
            let event = tokio::select! {
                biased;
                command = self.commands.recv(), if !self.stopping => Event::Command(command),
                () = self.outside.ready(Instant::now) => Event::Readable,
                () = arrivals.next(), if awaited => Event::Published,
                () = tokio::time::sleep_until(alarm.into()) => Event::Alarm,
            };
            let now = Instant::now();
            match event {
                Event::Command(Some(command)) => self.command(command, now),
                Event::Command(None) => self.stop(now),
                Event::Readable => {
                    self.read(now);
                    self.answer_waiting(now);
                }
                Event::Published => {
                    self.answer_waiting(now);
                    self.serve_all(now);
                    self.mind_profile();
                    self.time_newest();
                }
                Event::Alarm => self.ring_alarms(now),
            }
        }
    }

    fn next_alarm(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(60);
        let session = self.alarms.first().map_or(far, |(at, _)| *at);
        let waiting = self.waiting.next_deadline().unwrap_or(far);
        session.min(waiting).min(self.outside.wake_at())
    }

    fn ring_alarms(&mut self, now: Instant) {
        if now >= self.outside.wake_at() {
            self.outside.serve(now);
        }
        self.answer_waiting(now);
        // Served sessions set their alarm anew, maybe for now again; each gets one turn.
        let due: Vec<Key> =
            self.alarms.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| *key).collect();
        for key in due {
            self.serve(key, now);
        }
    }

    fn serve_all(&mut self, now: Instant) {
        let connected: Vec<Key> =
            self.sessions.iter().filter(|(_, s)| s.is_connected()).map(|(k, _)| *k).collect();
        for key in connected {
            self.serve(key, now);
        }
    }

    /// Takes note of how long the newest picture took to be sent to everybody.
    fn time_newest(&mut self) {
        let Some(Cut { picture, .. }) = self.cuts.kept.back().map(Arc::as_ref) else {
            return;
        };
        if self.timed.replace(picture.sequence) != Some(picture.sequence) {
            self.delays.note(MediaTime::now().since(picture.at));
        }
    }

    /// Lets a session do what it has to, and removes it when it is over.
    fn serve(&mut self, key: Key, now: Instant) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let was_connected = session.is_connected();
        session.tick(now);
        session.flush(now, &mut self.cuts, &mut self.outside);
        session.tell_asked(key, &mut self.owners);
        if let Some(why) = session.take_trouble() {
            let viewer = session.remote_ip();
            self.tell(format!("a viewer cannot connect: {why}"), viewer, now);
        }
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if let Some(end) = session.ended() {
            self.remove(key, end);
            return;
        }
        let wake = session.wake_at(now);
        if session.is_connected() && !was_connected {
            let from = session.remote_ip().map_or_else(String::new, |ip| ip.to_string());
            self.count();
            log::info!("viewer joined from {from}, {} watching", self.totals.borrow().connected);
        }
        self.set_alarm(key, wake);
    }

    fn set_alarm(&mut self, key: Key, at: Instant) {
        if let Some(old) = self.alarm_of.insert(key, at) {
            self.alarms.remove(&(old, key));
        }
        self.alarms.insert((at, key));
    }

    fn remove(&mut self, key: Key, end: End) {
        let Some(session) = self.sessions.remove(&key) else {
            return;
        };
        if let Some(at) = self.alarm_of.remove(&key) {
            self.alarms.remove(&(at, key));
        }
        self.by_id.remove(session.id());
        self.outside.forget(&self.owners.forget(key));
        self.count_for_relays(Instant::now());
        self.count();
        let connected = self.totals.borrow().connected;
        let from = session.remote_ip().map_or_else(String::new, |ip| ip.to_string());
        match end {
            End::NeverConnected => log::debug!("an offer never connected and was forgotten"),
            End::ClosedByViewer => log::info!("viewer at {from} left, {connected} watching"),
            End::ClosedHere if from.is_empty() => log::debug!("an offer was withdrawn"),
            End::ClosedHere => log::info!("viewer at {from} was let go, {connected} watching"),
            End::ConsentLost => log::info!("viewer at {from} is gone, {connected} watching"),
            End::Failed => log::info!("connection to {from} failed, {connected} watching"),
        }
    }

    fn count(&self) {
        let connected = self.sessions.values().filter(|s| s.is_connected()).count();
        let connecting = self.sessions.values().filter(|s| s.is_connecting()).count();
        self.totals.send_modify(|t| {
            t.connected = connected;
            t.connecting = connecting;
            t.datagrams_dropped = self.outside.dropped();
        });
    }

    fn read(&mut self, now: Instant) {
        for _ in 0..MAX_READS {
            let mut touched = Vec::new();
            let Self { outside, sessions, owners, .. } = self;
            let result = outside.receive(now, |path, datagram| {
                let is_connected = |key| sessions.get(&key).is_some_and(Session::is_connected);
                let Some(key) = owners.of(path.remote(), datagram, is_connected) else {
                    return false;
                };
                let Some(session) = sessions.get_mut(&key) else {
                    return false;
                };
                session.receive(now, path, datagram);
                if touched.last() != Some(&key) {
                    touched.push(key);
                }
                true
            });
            for key in touched {
                self.serve(key, now);
            }
            match result {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    log::debug!("reading from the network: {error}");
                    return;
                }
            }
        }
    }

    fn command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Offer { sdp, from, reply } => {
                let offer = Offer::parse(&sdp).map_err(OfferError::Sdp);
                let offer = match offer.and_then(|offer| self.admit().map(|()| offer)) {
                    Ok(offer) => offer,
                    Err(error) => return reply.send(Err(error)),
                };
                // Joining starts the camera, so that its first picture is under way.
                let viewer = self.hub.join(Layer::Main);
                viewer.request_key_picture();
                self.waiting.push(offer, from, viewer, reply, now);
                self.count_for_relays(now);
                self.answer_waiting(now);
            }
            Command::Patch { id, if_match, fragment, from, reply } => {
                let result = self.patch(&id, &if_match, &fragment, from, now);
                if let Some(key) = self.by_id.get(&id).copied() {
                    self.serve(key, now);
                }
                let _ = reply.send(result);
            }
            Command::Close { id, reply } => {
                let key = self.by_id.get(&id).copied();
                if let Some(key) = key {
                    self.close(key, now);
                }
                let _ = reply.send(key.is_some());
            }
            Command::CloseAll { reply } => {
                let keys: Vec<Key> = self.sessions.keys().copied().collect();
                keys.iter().for_each(|key| self.close(*key, now));
                let _ = reply.send(());
            }
            Command::Steer { id, active, direction, reply } => {
                let report = self.by_id.get(&id).copied().and_then(|key| {
                    self.sessions.get_mut(&key)?.steer(active, direction);
                    self.serve(key, now);
                    self.report(key, now)
                });
                let _ = reply.send(report);
            }
            Command::Report { id, reply } => {
                let keys: Vec<Key> = match id {
                    Some(id) => self.by_id.get(&id).copied().into_iter().collect(),
                    None => self.sessions.keys().copied().collect(),
                };
                let mut reports: Vec<SessionReport> =
                    keys.into_iter().filter_map(|key| self.report(key, now)).collect();
                reports.sort_by(|a, b| b.age.total_cmp(&a.age));
                let _ = reply.send(reports);
            }
            Command::IceServers(servers) => self.outside.set_servers(&servers, now),
            Command::Stop => self.stop(now),
        }
    }

    fn count_for_relays(&mut self, now: Instant) {
        self.outside.set_sessions(self.sessions.len() + self.waiting.len(), now);
    }

    fn report(&self, key: Key, now: Instant) -> Option<SessionReport> {
        let source = self.hub.source().borrow().clone();
        Some(self.sessions.get(&key)?.report(now, &source))
    }

    fn stop(&mut self, now: Instant) {
        self.stopping = true;
        let keys: Vec<Key> = self.sessions.keys().copied().collect();
        keys.iter().for_each(|key| self.close(*key, now));
        self.outside.close(now);
    }

    fn close(&mut self, key: Key, now: Instant) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.close(now);
            self.serve(key, now);
        }
    }

    /// Whether there is room for one more viewer.
    fn admit(&mut self) -> Result<(), OfferError> {
        if *self.hub.source().borrow() == SourceState::Ended {
            return Err(OfferError::NoSource("the source has ended".into()));
        }
        let connected = self.sessions.values().filter(|s| s.is_connected()).count();
        let most = if self.settings.live_broadcast { self.settings.max_viewers } else { 1 };
        if connected >= most {
            return Err(OfferError::Full { most });
        }
        let connecting = || self.sessions.iter().filter(|(_, s)| s.is_connecting());
        if connecting().count() + self.waiting.len() >= MAX_CONNECTING {
            if let Some(oldest) = connecting().map(|(k, _)| *k).min() {
                self.remove(oldest, End::NeverConnected);
            } else {
                return Err(OfferError::Full { most });
            }
        }
        Ok(())
    }

    /// Answers the offers that wait for the stream's first key picture, whose SPS the answer
    /// must quote.
    fn answer_waiting(&mut self, now: Instant) {
        let known = self.stream_profile();
        loop {
            let next = self.waiting.pop(known, self.outside.gathering(), now);
            let Some((mut waited, profile)) = next else { return };
            let profile = profile.unwrap_or(self.settings.expected_profile);
            let mut payload = waited.offer.settle(profile);
            if matches!(payload, Err(Refusal::Profile { .. })) && !self.hub.makes_key_pictures() {
                if !waited.wanted_another() && self.hub.ask_to_encode_afresh(Layer::Main) {
                    self.waiting.wait_for_another(waited, profile, now);
                    continue;
                }
                // There is no other stream, and decoders mostly do more than they promise.
                payload = waited.offer.settle_nearest(profile);
            }
            let (offer, from) = (waited.offer, waited.from);
            let answer = payload.map_err(OfferError::Codec);
            let answer = answer.and_then(|p| self.accept(offer, from, waited.viewer, p, now));
            if let Err(OfferError::Codec(refusal)) = &answer {
                self.tell(format!("a viewer was turned away: {refusal}"), Some(from.viewer), now);
            }
            waited.reply.send(answer);
        }
    }

    /// Tells the owner why a viewer came in vain, but no more than once in a while: a page, or a
    /// program, tries again and again.
    fn tell(&mut self, why: String, viewer: Option<IpAddr>, now: Instant) {
        let from = viewer.map(|ip| format!(" (from {ip})")).unwrap_or_default();
        self.told.retain(|(_, told)| now - *told < TELL_AGAIN_AFTER);
        if self.told.iter().any(|(told, _)| *told == why) || self.told.len() == MAX_TOLD {
            log::debug!("{why}{from}");
            return;
        }
        log::warn!("{why}{from}");
        self.told.push_back((why, now));
    }

    /// When the stream has become another, asks for one that suits all who watch: they may have come
    /// while a card was shown, which any of them decodes.
    fn mind_profile(&mut self) {
        if self.suited == self.cuts.profile {
            return;
        }
        self.suited = self.cuts.profile;
        if let Some(profile) = self.suited
            && self.sessions.values().any(|session| !session.suits(profile))
        {
            self.hub.ask_to_encode_afresh(Layer::Main);
        }
    }

    fn stream_profile(&self) -> Option<ProfileLevel> {
        self.hub.newest_key_picture(Layer::Main).as_deref().and_then(profile_of)
    }

    fn accept(
        &mut self,
        offer: Offer,
        from: SignallingPath,
        viewer: Viewer,
        payload: Payload,
        now: Instant,
    ) -> Result<Answer, OfferError> {
        let random = |n: usize| random_hex(n).map_err(OfferError::Internal);
        let number = |hex: String| u32::from_str_radix(&hex, 16).unwrap_or_default();
        let id = random(16)?;
        let local = Credentials { ufrag: random(8)?, pwd: random(16)? };
        let ssrc = number(random(4)?).max(1);
        let parameters = StreamParameters {
            payload,
            extensions: offer.video().extensions,
            ssrc,
            rtx_ssrc: ssrc ^ 1,
            cname: random(8)?,
            timestamp_offset: number(random(4)?),
        };
        let remote = offer.transport().map_err(OfferError::Sdp)?;
        self.outside.permit(&remote.candidates, now);
        let setting = Setting {
            id: id.clone(),
            config: self.config(),
            local: local.clone(),
            parameters: parameters.clone(),
            viewer,
        };
        let mut session = Session::new(&offer, setting, now).map_err(OfferError::Internal)?;
        let candidates = session.add_local_candidates(self.outside.candidates(from));
        let sdp = answer::write(
            &offer,
            &answer::Local {
                session: self.next_key + 1,
                credentials: &local,
                fingerprint: &session.fingerprint(),
                setup: session.setup(),
                candidates: &candidates,
                payload: &parameters.payload,
                ssrc: parameters.ssrc,
                rtx_ssrc: parameters.rtx_ssrc,
                cname: &parameters.cname,
            },
        );
        let key = self.next_key;
        self.next_key += 1;
        let answer = Answer { id: id.clone(), etag: session.etag(), sdp };
        let wake = session.wake_at(now);
        self.by_id.insert(id, key);
        self.owners.name(local, key);
        self.sessions.insert(key, session);
        self.set_alarm(key, wake);
        self.totals.send_modify(|t| t.offers_accepted += 1);
        self.count();
        Ok(answer)
    }

    fn config(&self) -> RtcConfig {
        RtcConfig::new()
            .set_crypto_provider(self.crypto.clone())
            .set_dtls_cert(self.certificate.clone())
            .clear_codecs()
            .clear_extension_map()
            .set_rtp_mode(true)
    }

    fn patch(
        &mut self,
        id: &str,
        if_match: &IfMatch,
        fragment: &Fragment,
        from: SignallingPath,
        now: Instant,
    ) -> Result<Patched, PatchError> {
        let key = *self.by_id.get(id).ok_or(PatchError::NoSuchSession)?;
        let candidates = self.outside.candidates(from);
        let session = self.sessions.get_mut(&key).ok_or(PatchError::NoSuchSession)?;
        let said = fragment.credentials(session.mid());
        let new = said.filter(|credentials| !session.knows(credentials)).cloned();
        // RFC 9725 §4.3.3: a restart says `*`, a trickle names the ICE session it belongs to. Many
        // clients say `*`, or nothing, for a trickle too; then its credentials say as much.
        match if_match {
            IfMatch::Any => {}
            IfMatch::Tags(tags) if tags.contains(&session.etag()) => {}
            IfMatch::Tags(_) => return Err(PatchError::StaleEtag),
            IfMatch::Absent if new.is_none() && said.is_some() => {}
            IfMatch::Absent => return Err(PatchError::NoPrecondition),
        }
        self.outside.permit(&fragment.candidates, now);
        match new {
            None => {
                session.trickle(&fragment.candidates, now);
                Ok(Patched::Trickled)
            }
            Some(remote) => {
                let random = |n: usize| random_hex(n).map_err(PatchError::Internal);
                let local = Credentials { ufrag: random(8)?, pwd: random(16)? };
                session
                    .restart(remote, fragment, local.clone(), now)
                    .map_err(PatchError::Internal)?;
                self.owners.name(local, key);
                let candidates = session.add_local_candidates(candidates);
                let sdp = answer::fragment(session.answered(), session.local(), &candidates);
                Ok(Patched::Restarted { etag: session.etag(), fragment: sdp })
            }
        }
    }
}

/// What the SPS in a key picture says of the stream.
fn profile_of(picture: &Published) -> Option<ProfileLevel> {
    let sps = picture.unit.nals().find(|nal| NalType::of(nal) == NalType::Sps)?;
    match *sps {
        [_, profile_idc, constraints, level_idc, ..] => {
            Some(ProfileLevel { profile_idc, constraints, level_idc })
        }
        _ => None,
    }
}

/// `bytes` random bytes as lower-case hexadecimal digits, which are valid as ICE characters, in
/// URLs and as numbers.
fn random_hex(bytes: usize) -> Result<String, String> {
    use std::fmt::Write;
    let mut random = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| "the system gives no random numbers")?;
    Ok(random.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}
