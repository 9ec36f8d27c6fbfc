//! The thread that serves all viewers.
//!
//! It waits for whatever comes: a datagram, a new picture in the hub, a command from the HTTP side,
//! or the moment a session asked to be woken at. Which session a datagram is for is decided in
//! [`demux`](super::demux); what becomes of offers, in [`offers`].

mod offers;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::config::DtlsCert;
use str0m::crypto::CryptoProvider;
use tokio::sync::{mpsc, watch};

use super::admission::Rates;
use super::command::{Command, OfferError, PatchError};
use super::cuts::{Cuts, profile_of};
use super::demux::{Key, Owners};
use super::holder::Holder;
use super::outside::Outside;
use super::report::SessionReport;
use super::session::{End, Session};
use super::tcp::Tcp;
use super::waiting::Waiting;
use super::wire::Wire;
use super::{RtcSettings, Totals};
use crate::hub::{Hub, Layer};
use crate::media::h264::ProfileLevel;
use crate::media::{Delays, MediaTime};

/// How often the owner is told that viewers come in vain for one and the same reason, and how many
/// reasons are remembered for that.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(60);
const MAX_TOLD: usize = 16;

/// For how long datagrams are read before it is somebody else's turn: pictures are due every 16 ms
/// or more.
const READ_FOR: Duration = Duration::from_millis(2);

/// Sessions that were ended here of which it is remembered why.
const MAX_ENDED: usize = 64;

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
    rates: Rates,
    totals: watch::Sender<Totals>,
    delays: Arc<Delays>,
    /// The newest picture in `delays`.
    timed: Option<u64>,
    /// The stream that sessions were last found to suit.
    suited: Option<ProfileLevel>,
    /// Why viewers came in vain, as the owner was told of late, and when.
    told: VecDeque<(String, Instant)>,
    /// Why sessions were ended here, by their names and holders, the latest last.
    ended: VecDeque<(String, Holder, String)>,
    stopping: bool,
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
            rates: Rates::default(),
            totals,
            delays: Arc::default(),
            timed: None,
            suited: None,
            told: VecDeque::new(),
            ended: VecDeque::new(),
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
            // Whoever keeps one of these busy starves none of the others: of those that are ready,
            // each is as likely to be next.
            let event = tokio::select! {
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
        let Some(picture) = self.cuts.newest() else { return };
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
        session.converse(now, &mut self.outside);
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
        if session.is_connected() && !was_connected {
            let from = session.remote_ip().map_or_else(String::new, |ip| ip.to_string());
            // There may have been room when it was answered, for each of several.
            if let Err(full) = self.room_for(Some(key)) {
                log::info!("viewer at {from} is turned away: {full}");
                return self.dismiss(key, full.to_string(), now);
            }
            self.count();
            log::info!("viewer joined from {from}, {} watching", self.totals.borrow().connected);
        }
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.stream(now, &mut self.cuts, &mut self.outside);
        let wake = session.wake_at(now);
        self.set_alarm(key, wake);
    }

    /// Whether one more may watch, beside those who do.
    fn room_for(&self, newcomer: Option<Key>) -> Result<(), OfferError> {
        let others =
            self.sessions.iter().filter(|(k, s)| s.is_connected() && Some(**k) != newcomer);
        let most = if self.settings.live_broadcast { self.settings.max_viewers } else { 1 };
        if others.count() < most { Ok(()) } else { Err(OfferError::Full { most }) }
    }

    /// Ends a session, and remembers why for when its viewer asks.
    fn dismiss(&mut self, key: Key, why: String, now: Instant) {
        if let Some(session) = self.sessions.get(&key) {
            if self.ended.len() == MAX_ENDED {
                self.ended.pop_front();
            }
            self.ended.push_back((session.id().to_owned(), session.holder(), why));
            self.close(key, now);
        }
    }

    /// Ends the sessions of those who may no longer watch, and forgets their offers.
    fn retain(&mut self, may_watch: &dyn Fn(&Holder) -> bool, now: Instant) {
        let withdrawn = |(_, s): &(&Key, &Session)| !s.is_closing() && !may_watch(&s.holder());
        let keys: Vec<Key> = self.sessions.iter().filter(withdrawn).map(|(key, _)| *key).collect();
        for key in keys {
            self.dismiss(key, "whoever opened it may no longer watch".into(), now);
        }
        self.waiting.retain(|by| may_watch(&by.holder));
        self.count_for_relays(now);
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
        loop {
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
                Ok(true) if now.elapsed() < READ_FOR => {}
                Ok(_) => return,
                Err(error) => {
                    log::debug!("reading from the network: {error}");
                    return;
                }
            }
        }
    }

    fn command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Offer { sdp, by, reply } => self.offer(&sdp, by, reply, now),
            Command::Patch { id, by, if_match, fragment, path, reply } => {
                let key = self.find(&id, by.as_ref());
                let result = key.ok_or(PatchError::NoSuchSession);
                let result =
                    result.and_then(|key| self.patch(key, &if_match, &fragment, path, now));
                if let Some(key) = key {
                    self.serve(key, now);
                }
                let _ = reply.send(result);
            }
            Command::Close { id, by, reply } => {
                let key = self.find(&id, Some(&by));
                if let Some(key) = key {
                    self.close(key, now);
                }
                let _ = reply.send(key.is_some());
            }
            Command::Retain { may_watch } => self.retain(&*may_watch, now),
            Command::WhyEnded { id, by, reply } => {
                let ended = self.ended.iter().find(|(i, of, _)| *i == id && by.may_change(of));
                let _ = reply.send(ended.map(|(_, _, why)| why.clone()));
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
            Command::Report { which, reply } => {
                let keys: Vec<Key> = match which {
                    Some((id, by)) => self.find(&id, Some(&by)).into_iter().collect(),
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

    /// The session of this name, if it is for `by` to change; a stranger shows in other ways what
    /// they may do.
    fn find(&self, id: &str, by: Option<&Holder>) -> Option<Key> {
        let key = *self.by_id.get(id)?;
        let holder = self.sessions.get(&key)?.holder();
        by.is_none_or(|by| by.may_change(&holder)).then_some(key)
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
        if self.suited == self.cuts.profile() {
            return;
        }
        self.suited = self.cuts.profile();
        if let Some(profile) = self.suited
            && self.sessions.values().any(|session| !session.suits(profile))
        {
            self.hub.ask_to_encode_afresh(Layer::Main);
        }
    }

    fn stream_profile(&self) -> Option<ProfileLevel> {
        self.hub.newest_key_picture(Layer::Main).as_deref().and_then(profile_of)
    }
}
