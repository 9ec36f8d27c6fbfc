//! The thread that serves all viewers.
//!
//! It waits for whatever comes: a datagram, a new sample in the hub of a [`camera`], a command from
//! the HTTP side, or the moment a session asked to be woken at. Which session a datagram is for is
//! decided in [`demux`](super::demux); what becomes of offers, in [`offers`].

mod camera;
mod offers;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use str0m::config::DtlsCert;
use str0m::crypto::CryptoProvider;
use tokio::sync::mpsc;

use super::admission::Rates;
use super::command::{Command, OfferError, PatchError};
use super::counts::CameraCounts;
use super::demux::{Demux, Key};
use super::ice_transport::IceTransport;
use super::report::SessionReport;
use super::session::{End, Session};
use super::settings::{WatchedCamera, WebRtcSettings};
use super::tcp::Tcp;
use super::udp::UdpTransport;
use crate::events::{Event, Events, SessionEvent};
use crate::hub::PublishSignal;
use crate::rtp::DatagramBatch;
use crate::web::Holder;
use camera::CameraStream;

/// How often the owner is told that viewers cannot watch for one and the same reason, and how many
/// reasons are remembered for that.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(60);
const MAX_TOLD: usize = 16;

/// For how long datagrams are read before it is somebody else's turn: pictures are due every 16 ms
/// or more.
const READ_FOR: Duration = Duration::from_millis(2);

/// Sessions that were ended here of which it is remembered why.
const MAX_ENDED: usize = 64;

pub(super) struct Engine {
    /// A session knows its camera by the place here.
    cameras: Vec<CameraStream>,
    signal: PublishSignal,
    settings: WebRtcSettings,
    transport: IceTransport,
    crypto: Arc<CryptoProvider>,
    certificate: DtlsCert,
    commands: mpsc::Receiver<Command>,
    events: Events,
    sessions: HashMap<Key, Session>,
    next_key: Key,
    by_id: HashMap<String, Key>,
    demux: Demux,
    /// When each session is to be woken.
    alarms: BTreeSet<(Instant, Key)>,
    alarm_of: HashMap<Key, Instant>,
    rates: Rates,
    /// Numbers offers that wait.
    next_number: u64,
    datagrams_dropped: Arc<AtomicU64>,
    /// What one session sends at a time.
    batch: DatagramBatch,
    /// Why viewers could not watch, as the owner was told lately, and when.
    told: VecDeque<(String, Instant)>,
    /// Why sessions were ended here, by their names and holders, the latest last.
    ended: VecDeque<(String, Holder, String)>,
    stopping: bool,
}

/// What an engine is made of.
pub(super) struct EngineParts {
    pub(super) settings: WebRtcSettings,
    pub(super) cameras: Vec<(WatchedCamera, Arc<CameraCounts>)>,
    /// Given by all of their hubs.
    pub(super) signal: PublishSignal,
    pub(super) udp: UdpTransport,
    pub(super) tcp: Option<Tcp>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) events: Events,
    pub(super) datagrams_dropped: Arc<AtomicU64>,
}

/// What woke the engine.
enum Wake {
    Readable,
    Published,
    Command(Option<Command>),
    Alarm,
}

impl Engine {
    pub(super) fn new(parts: EngineParts) -> Result<Self, String> {
        let EngineParts { settings, cameras, signal, udp, tcp, commands, .. } = parts;
        let EngineParts { events, datagrams_dropped, .. } = parts;
        let crypto = super::keys::crypto();
        let certificate =
            crypto.dtls_provider.generate_certificate().ok_or("cannot make a DTLS certificate")?;
        let (announce, servers) = (settings.announce.clone(), &settings.ice_servers);
        let transport = IceTransport::new(udp, tcp, announce, servers, Instant::now());
        Ok(Self {
            cameras: cameras.into_iter().map(|(c, counts)| CameraStream::new(c, counts)).collect(),
            signal,
            settings,
            transport,
            crypto,
            certificate,
            commands,
            events,
            sessions: HashMap::new(),
            next_key: 0,
            by_id: HashMap::new(),
            demux: Demux::default(),
            alarms: BTreeSet::new(),
            alarm_of: HashMap::new(),
            rates: Rates::default(),
            next_number: 0,
            datagrams_dropped,
            batch: DatagramBatch::default(),
            told: VecDeque::new(),
            ended: VecDeque::new(),
            stopping: false,
        })
    }

    /// Serves until told to stop and every viewer has been told goodbye.
    pub(super) async fn run(mut self) {
        self.transport.serve(Instant::now());
        let mut notifier = self.signal.notifier();
        while !(self.stopping && self.sessions.is_empty()) {
            let alarm = self.next_alarm();
            // With nobody to send it to, a sample is no reason to wake up.
            let awaited = !self.sessions.is_empty() || self.waiting() > 0;
            // Whoever keeps one of these busy starves none of the others: of those that are ready,
            // each is as likely to be next.
            let wake = tokio::select! {
                command = self.commands.recv(), if !self.stopping => Wake::Command(command),
                () = self.transport.ready(Instant::now) => Wake::Readable,
                () = notifier.next(), if awaited => Wake::Published,
                () = tokio::time::sleep_until(alarm.into()) => Wake::Alarm,
            };
            let now = Instant::now();
            match wake {
                Wake::Command(Some(command)) => self.command(command, now),
                Wake::Command(None) => self.stop(now),
                Wake::Readable => {
                    self.read(now);
                    self.answer_waiting(now);
                }
                Wake::Published => self.published(now),
                Wake::Alarm => self.ring_alarms(now),
            }
        }
    }

    /// Serves those who watch a camera of which something has come.
    fn published(&mut self, now: Instant) {
        for camera in 0..self.cameras.len() {
            if self.cameras[camera].has_news() {
                self.answer_waiting_for(camera, now);
                self.stream_to_viewers_of(camera, now);
                self.check_profile(camera);
                self.cameras[camera].time_newest();
            }
        }
    }

    fn next_alarm(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(60);
        let session = self.alarms.first().map_or(far, |(at, _)| *at);
        let waiting = self.cameras.iter().filter_map(|camera| camera.waiting.next_deadline());
        waiting.fold(session.min(self.transport.wake_at()), Instant::min)
    }

    /// Offers that are not answered yet.
    fn waiting(&self) -> usize {
        self.cameras.iter().map(|camera| camera.waiting.len()).sum()
    }

    fn ring_alarms(&mut self, now: Instant) {
        if now >= self.transport.wake_at() {
            self.transport.serve(now);
        }
        self.answer_waiting(now);
        // Served sessions set their alarm again, maybe for now; each gets one turn.
        let due: Vec<Key> =
            self.alarms.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| *key).collect();
        for key in due {
            self.serve(key, now);
        }
    }

    /// What every viewer needs with every picture. All else of a session waits for its alarm, which
    /// this leaves as it is.
    fn stream_to_viewers_of(&mut self, camera: usize, now: Instant) {
        let Self { sessions, cameras, batch, transport, .. } = self;
        let packetizer = &mut cameras[camera].packetizer;
        let mut others = Vec::new();
        for (key, session) in sessions.iter_mut().filter(|(_, s)| s.camera() == camera) {
            session.stream(now, packetizer, batch, transport);
            if session.needs_serving() {
                others.push(*key);
            }
        }
        for key in others {
            self.serve(key, now);
        }
    }

    /// Lets a session do what it has to, and removes it when it is over.
    fn serve(&mut self, key: Key, now: Instant) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let camera = session.camera();
        session.tick(now);
        session.flush(&mut self.transport);
        session.tell_asked(key, &mut self.demux);
        if let Some(why) = session.take_trouble() {
            let viewer = session.remote_ip();
            self.tell(format!("a viewer cannot connect: {why}"), viewer, now);
        }
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if let Some(end) = session.ended() {
            self.remove(key, end);
            return;
        }
        if session.awaits_admission() {
            let from = session.remote_ip().map_or_else(String::new, |ip| ip.to_string());
            // There may have been room when it was answered, for each of several.
            if let Err(full) = self.room_for(camera, Some(key)) {
                log::info!("viewer at {from} is turned away: {full}");
                return self.dismiss(key, full.to_string(), now);
            }
            if let Some(session) = self.sessions.get_mut(&key) {
                session.admit();
            }
            let watching = self.count(camera);
            log::info!("viewer joined from {from}, {watching} watching{}", self.of(camera));
        }
        self.tell_state(key);
        let Self { sessions, cameras, batch, transport, .. } = self;
        let Some(session) = sessions.get_mut(&key) else { return };
        session.stream(now, &mut cameras[camera].packetizer, batch, transport);
        let wake = session.wake_at(now);
        self.set_alarm(key, wake);
    }

    /// Tells of a session that is in another state than when it was last told of.
    fn tell_state(&mut self, key: Key) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if let Some(connection_state) = session.take_state_change() {
            self.events.emit(Event::Session(SessionEvent {
                id: session.id().to_owned(),
                camera: self.cameras[session.camera()].name.clone(),
                holder: session.holder(),
                connection_state,
            }));
        }
    }

    /// Whose viewer somebody is, for the log, where there are several cameras.
    fn of(&self, camera: usize) -> String {
        match self.cameras.len() {
            1 => String::new(),
            _ => format!(" {}", self.cameras[camera].name),
        }
    }

    /// Whether one more may watch the camera, beside those who do.
    fn room_for(&self, camera: usize, newcomer: Option<Key>) -> Result<(), OfferError> {
        let watches = |s: &Session| s.is_connected() && s.camera() == camera;
        let others = self.sessions.iter().filter(|(k, s)| watches(s) && Some(**k) != newcomer);
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
        for camera in &mut self.cameras {
            camera.waiting.retain(|by| may_watch(&by.holder));
        }
        self.count_for_relays(now);
    }

    fn set_alarm(&mut self, key: Key, at: Instant) {
        if let Some(old) = self.alarm_of.insert(key, at) {
            self.alarms.remove(&(old, key));
        }
        self.alarms.insert((at, key));
    }

    fn remove(&mut self, key: Key, end: End) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.end(end);
        }
        self.tell_state(key);
        let Some(session) = self.sessions.remove(&key) else {
            return;
        };
        if let Some(at) = self.alarm_of.remove(&key) {
            self.alarms.remove(&(at, key));
        }
        self.by_id.remove(session.id());
        self.transport.forget(&self.demux.forget(key));
        self.count_for_relays(Instant::now());
        let watching = self.count(session.camera());
        let from = session.remote_ip().map_or_else(String::new, |ip| ip.to_string());
        let watching = format!("{watching} watching{}", self.of(session.camera()));
        match end {
            End::NeverConnected => log::debug!("an offer never connected and was forgotten"),
            End::ClosedByViewer => log::info!("viewer at {from} left, {watching}"),
            End::ClosedHere if from.is_empty() => log::debug!("an offer was withdrawn"),
            End::ClosedHere => log::info!("viewer at {from} was disconnected, {watching}"),
            End::ConsentLost => log::info!("viewer at {from} is gone, {watching}"),
            End::Failed => log::info!("connection to {from} failed, {watching}"),
        }
    }

    /// Counts those who watch a camera, and tells of it where the number is another; how many watch.
    fn count(&self, camera: usize) -> usize {
        let of_camera = || self.sessions.values().filter(|s| s.camera() == camera);
        let connected = of_camera().filter(|s| s.is_connected()).count();
        let connecting = of_camera().filter(|s| s.is_connecting()).count();
        let CameraStream { counts, name, .. } = &self.cameras[camera];
        let before = (
            counts.connected.swap(connected, Ordering::Relaxed),
            counts.connecting.swap(connecting, Ordering::Relaxed),
        );
        self.datagrams_dropped.store(self.transport.dropped(), Ordering::Relaxed);
        if before != (connected, connecting) {
            self.events.emit(Event::Viewers { camera: name.clone(), connected, connecting });
        }
        connected
    }

    fn read(&mut self, now: Instant) {
        loop {
            let mut touched = Vec::new();
            let Self { transport, sessions, demux, .. } = self;
            let result = transport.receive(now, |path, datagram| {
                let is_connected = |key| sessions.get(&key).is_some_and(Session::is_connected);
                let Some(key) = demux.of(path.remote(), datagram, is_connected) else {
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
            Command::Offer { camera, sdp, by, reply } => self.offer(&camera, &sdp, by, reply, now),
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
            Command::CloseAll { camera, reply } => {
                let of_it = |s: &Session| *self.cameras[s.camera()].name == *camera;
                let keys = self.sessions.iter().filter(|(_, s)| of_it(s)).map(|(key, _)| *key);
                let keys: Vec<Key> = keys.collect();
                keys.iter().for_each(|key| self.close(*key, now));
                let _ = reply.send(());
            }
            Command::Steer { id, active, direction, layer, reply } => {
                let report = self.by_id.get(&id).copied().and_then(|key| {
                    self.sessions.get_mut(&key)?.steer(active, direction, layer);
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
            Command::IceServers(servers) => self.transport.set_servers(&servers, now),
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
        self.transport.set_sessions(self.sessions.len() + self.waiting(), now);
    }

    fn report(&self, key: Key, now: Instant) -> Option<SessionReport> {
        let session = self.sessions.get(&key)?;
        let CameraStream { name, hub, .. } = &self.cameras[session.camera()];
        Some(session.report(now, name, &hub.source().borrow()))
    }

    fn stop(&mut self, now: Instant) {
        self.stopping = true;
        let keys: Vec<Key> = self.sessions.keys().copied().collect();
        keys.iter().for_each(|key| self.close(*key, now));
        self.transport.close(now);
    }

    fn close(&mut self, key: Key, now: Instant) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.close(now);
            self.serve(key, now);
        }
    }

    /// Tells the owner why a viewer cannot watch, but no more than once in a while: a page, or a
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
    /// while a placeholder was shown, which any of them decodes.
    fn check_profile(&mut self, camera: usize) {
        let Some(profile) = self.cameras[camera].new_profile() else { return };
        let watches = |s: &&Session| s.camera() == camera;
        if self.sessions.values().filter(watches).any(|session| !session.suits(profile)) {
            self.cameras[camera].hub.request_transcoding();
        }
    }
}
