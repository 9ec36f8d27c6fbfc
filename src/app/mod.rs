//! Wires the rooms together: builds the house from a [`Config`], keeps it running, follows the
//! configuration file, and closes up.
//!
//! This is also the library's front door: [`Picket::builder`] takes a configuration and whatever
//! a program wants to bring itself, a camera, steps between camera and encoder, routes,
//! middleware; [`Picket::run`] serves until told to stop.

mod cameras;
mod certificate;
mod controls;
mod device;
mod encoders;
mod error;
mod examine;
mod first_camera;
mod http_parts;
mod listen;
mod logging;
mod memory;
mod meters;
mod panel;
mod parts;
mod password;
mod probe;
mod reload;
mod service;
mod set_file;
mod sign_ins;
mod tuning;
mod unavailable;
mod welcome;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

pub use error::PicketError;
pub use examine::check;
pub use logging::start as start_logging;
pub use memory::return_freed_memory;
pub use probe::{Probe, probe};
pub use reload::ConfigSource;
pub use welcome::Welcome;

use crate::appliance::{MdnsResponder, StewardClient};
use crate::camera::Camera;
use crate::config::Config;
use crate::events::{Event, Events, Subscription};
use crate::http::{ExtraRoutes, HttpState, IceServers, Middleware};
use crate::hub::PublishSignal;
use crate::signalling::Signalling;
use crate::stream::Stream;
use crate::transform::Transform;
use crate::webrtc::WebRtc;
use cameras::{Brought, CameraUnit};
use listen::{Listening, Wanted};
use logging::tell;
use panel::{FrontPanel, ShownCamera};
use reload::Reload;
use service::Service;

/// Everything must be over this long after a signal to stop: a little before the two seconds that
/// are promised.
const STOP_WITHIN: Duration = Duration::from_millis(1900);

/// How much of that saying goodbye may take. The rest is for the camera and the encoder, which may
/// be stuck as well.
const GOODBYE_WITHIN: Duration = Duration::from_millis(1200);

/// What the camera of `[camera]` is called.
const MAIN: &str = "main";

/// Collects what a Picket is made of.
pub struct Builder {
    config: Config,
    source: ConfigSource,
    /// By the camera's name.
    brought: BTreeMap<String, Brought>,
    routes: Vec<ExtraRoutes>,
    layers: Vec<Middleware>,
}

/// A Picket that is ready to run: sockets are open, threads run, the cameras rest until somebody
/// comes.
pub struct Picket {
    runtime: Runtime,
    cameras: Vec<CameraUnit>,
    webrtc: Arc<WebRtc>,
    events: Events,
    server: Listening,
    secure_server: Option<Listening>,
    signals: Signals,
    reload: Reload,
    panel: FrontPanel,
    /// Who does what the button is for, on the image.
    steward: Option<StewardClient>,
    stop: watch::Sender<bool>,
    /// Answers for the device's name, on the image.
    announcement: Option<MdnsResponder>,
}

/// The signals that are answered. Listened to before anything is served: what comes while the house
/// is still being built waits for [`Picket::run`], where it would else end the process on the spot.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// To be called inside the runtime.
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Stops a running [`Picket`] from elsewhere.
#[derive(Clone)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Has [`Picket::run`] close up and return.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Picket {
    /// Begins with a configuration; [`Config::default`] is the first camera that is found, else the
    /// test picture, on loopback.
    #[must_use]
    pub fn builder(config: Config) -> Builder {
        Builder {
            config,
            source: ConfigSource::default(),
            brought: BTreeMap::new(),
            routes: Vec::new(),
            layers: Vec::new(),
        }
    }

    /// Where HTTP is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where HTTPS is served, if it is.
    #[must_use]
    pub fn secure_address(&self) -> Option<SocketAddr> {
        self.secure_server.as_ref().map(Listening::address)
    }

    /// What to tell the owner at the start: where to watch, and whether a password guards it.
    #[must_use]
    pub fn welcome(&self) -> Welcome {
        let config = self.reload.config();
        let name = match &self.announcement {
            Some(_) => Some(config.device.hostname.to_string()),
            None => welcome::name_of_the_system(),
        };
        let secure = self.secure_address().map(|address| address.port());
        Welcome::new(self.server.address(), name, &config.auth).with_https(secure)
    }

    /// The UDP port viewers use.
    #[must_use]
    pub fn udp_port(&self) -> u16 {
        self.webrtc.port()
    }

    /// What happens from now on: sources, sessions, viewers, controls.
    #[must_use]
    pub fn events(&self) -> Subscription {
        self.events.subscribe()
    }

    /// Answers offers that come by a signalling of the program's own.
    #[must_use]
    pub fn signalling(&self) -> Signalling {
        Signalling::new(self.webrtc.clone(), self.events.clone())
    }

    /// The stream of the camera of this name; `main` is the one of `[camera]`. `None` where there is no
    /// such camera.
    #[must_use]
    pub fn stream(&self, camera: &str) -> Option<Stream> {
        let found = self.cameras.iter().find(|unit| *unit.name == *camera);
        found.map(|unit| Stream::new(unit.hub.clone()))
    }

    /// Something to stop it with from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Serves until SIGTERM, SIGINT or a [`Stopper`], then tells every viewer goodbye, releases
    /// the camera and returns, within two seconds: what does not let go by then is left to the
    /// system. SIGHUP has the configuration read again.
    pub fn run(self) {
        let Self { runtime, mut cameras, webrtc, server, secure_server, .. } = self;
        let Self {
            mut signals,
            mut reload,
            mut panel,
            steward,
            stop,
            events,
            announcement: _announcement,
            ..
        } = self;
        let mut stopped = stop.subscribe();
        runtime.block_on(async {
            let mut service = Service::ready();
            panel.ready();
            loop {
                tokio::select! {
                    _ = signals.terminate.recv() => break,
                    _ = signals.interrupt.recv() => break,
                    _ = stopped.wait_for(|stop| *stop) => break,
                    _ = signals.hangup.recv() => reload.now("asked by SIGHUP").await,
                    () = reload.file_changed() => reload.now("the file changed").await,
                    () = service.heartbeat() => service.beat(&cameras, &webrtc).await,
                    press = panel.pressed() => {
                        events.emit(Event::Button(press.name()));
                        // Beside everything else: the steward may take its time.
                        tokio::spawn(panel::answer(press, steward.clone()));
                    }
                }
            }
            log::info!("stopping");
            let over = Instant::now() + STOP_WITHIN;
            service.stopping();
            let closing = async {
                cameras.iter().for_each(|camera| camera.stills.stop());
                webrtc.stop().await;
                events.close();
                let secure = async {
                    if let Some(secure) = secure_server {
                        secure.stop().await;
                    }
                };
                tokio::join!(server.stop(), secure);
            };
            if tokio::time::timeout(GOODBYE_WITHIN, closing).await.is_err() {
                log::warn!("some connections could not be closed in time");
            }
            panel.stop().await;
            let released = tokio::task::spawn_blocking(move || stop_all(&mut cameras));
            if tokio::time::timeout_at(over, released).await.is_err() {
                log::warn!("the picture could not be stopped in time; leaving it to the system");
            }
        });
        runtime.shutdown_background();
        log::info!("goodbye");
    }
}

impl Builder {
    /// Where the configuration came from, to be read again when its file changes.
    #[must_use]
    pub fn follow(mut self, source: ConfigSource) -> Self {
        self.source = source;
        self
    }

    /// Takes the main camera's pictures from `camera`, whatever the configuration says of its source.
    #[must_use]
    pub fn camera(self, camera: impl Camera + 'static) -> Self {
        self.camera_of(MAIN, camera)
    }

    /// The same for the camera of this name, of those in the configuration.
    #[must_use]
    pub fn camera_of(mut self, name: &str, camera: impl Camera + 'static) -> Self {
        self.brought.entry(name.to_owned()).or_default().camera = Some(Box::new(camera));
        self
    }

    /// Has every frame of the main camera pass through `step` before Picket's own steps. Steps run in
    /// the order they were added.
    #[must_use]
    pub fn transform(self, step: impl Transform + 'static) -> Self {
        self.transform_of(MAIN, step)
    }

    /// The same for the camera of this name, of those in the configuration.
    #[must_use]
    pub fn transform_of(mut self, name: &str, step: impl Transform + 'static) -> Self {
        self.brought.entry(name.to_owned()).or_default().transforms.push(Box::new(step));
        self
    }

    /// Serves further routes.
    #[must_use]
    pub fn routes(mut self, routes: ExtraRoutes) -> Self {
        self.routes.push(routes);
        self
    }

    /// Puts middleware around everything that is served: any `tower` layer that an axum
    /// [`Router`](crate::http::axum::Router) takes, by way of `|router| router.layer(…)`. Layers
    /// added later are further out.
    #[must_use]
    pub fn layer(
        mut self,
        layer: impl FnOnce(crate::http::axum::Router) -> crate::http::axum::Router + Send + 'static,
    ) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// Opens the sockets and starts the threads. From here on, a signal to stop waits for
    /// [`Picket::run`]. With `camera.tuning_file` it should come before the program has threads of
    /// its own, or libcamera cannot be told of it.
    ///
    /// What the configuration asks for and cannot be had here is told in the log and left out, or
    /// replaced by what can; see [`check`].
    ///
    /// # Errors
    /// When the program's own routes make no sense, or the system lacks what Picket cannot do
    /// without; the message says what to do.
    pub fn build(self) -> Result<Picket, PicketError> {
        let Self { mut config, source: from, mut brought, routes, layers } = self;
        let places = &from.places;
        // While there is one thread.
        tell(tuning::apply(&config, places));
        tell(examine::examine(&mut config, places));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("http")
            .enable_all()
            .build()?;
        let signals = {
            let _inside = runtime.enter();
            Signals::listen()?
        };
        let (signal, events) = (PublishSignal::default(), Events::default());
        let mut cameras = Vec::new();
        for settings in config.all_cameras() {
            let brought = brought.remove(settings.name.as_str()).unwrap_or_default();
            cameras.push(CameraUnit::start(settings, &config, brought, &signal, &events)?);
        }
        if let Some(name) = brought.into_keys().next() {
            return Err(PicketError::NoSuchCamera(name));
        }
        let hub = cameras.first().map(|main| main.hub.clone()).unwrap_or_default();
        let steward = StewardClient::from_environment();
        let shown = config.all_cameras().zip(&cameras).map(|(settings, camera)| ShownCamera {
            name: camera.name.clone(),
            hub: camera.hub.clone(),
            wanted: settings.camera.source.clone(),
        });
        let (shown, steward_client) = (shown.collect(), steward.as_ref());
        let panel = FrontPanel::start(&config, shown, &events, steward_client, runtime.handle());
        let start = |settings| {
            let watched = cameras.iter().map(CameraUnit::watched).collect();
            WebRtc::start(settings, watched, signal.clone(), events.clone())
        };
        let (webrtc, problem) = listen::start_webrtc(parts::webrtc(&config), start, places)?;
        let webrtc = Arc::new(webrtc);
        tell(problem);
        let (site, problems) = parts::site(&config, places);
        let site = Arc::new(site);
        tell(problems);
        let auth = Arc::new(http_parts::auth(&config, from.file.as_deref(), steward.as_ref()));
        let ice_servers = IceServers::from(parts::ice_servers(&config));
        let device = steward
            .clone()
            .map(|steward| device::look_after(steward, &config, hub.clone(), runtime.handle()));
        let (names, other_name) = watch::channel(None);
        runtime.spawn(tell_of(other_name.clone(), events.clone(), Event::Device));
        if let Some(device) = &device {
            let changes = device.installer().changes();
            runtime.spawn(tell_of(changes, events.clone(), Event::Update));
        }
        let (https, problems) = certificate::prepare(&config, other_name.clone(), places);
        tell(problems);
        let rooms = http_parts::Rooms {
            device,
            other_name: other_name.clone(),
            webrtc: webrtc.clone(),
            events: events.clone(),
            auth: auth.clone(),
            site,
            ice_servers: ice_servers.clone(),
            secure_page: https.as_ref().map(|https| https.page.clone()),
        };
        runtime.spawn(crate::http::end_revoked_sessions(rooms.auth.clone(), rooms.webrtc.clone()));
        let parts = http_parts::dependencies(&config, &cameras, rooms, runtime.handle());
        let state = HttpState::new(parts);
        let service = crate::http::service(&state, routes, layers)?;
        let service = crate::http::Service::new(service, http_parts::limits(&config));
        let listening = Listening::start(Wanted::plain(&config), service.clone(), places);
        let (server, problem) = runtime.block_on(listening)?;
        tell(problem);
        let secure_server = https.and_then(|https| {
            let starting = https.start(&config, service, steward.as_ref(), places);
            let (server, problem) = runtime.block_on(starting);
            tell(problem);
            server
        });
        let announcement = steward.as_ref().and_then(|steward| {
            let wanted = config.camera.source.clone();
            runtime.spawn(device::report(steward.clone(), wanted, hub));
            runtime.spawn(device::report_name(steward.clone(), other_name));
            let _inside = runtime.enter();
            device::announce(&config, server.address().port(), names)
        });
        let reached = reload::Reached {
            cameras: cameras.iter().map(CameraUnit::live_parts).collect(),
            auth,
            webrtc: webrtc.clone(),
            ice_servers,
        };
        let reload = Reload::new(config, from, reached);
        let stop = watch::Sender::new(false);
        Ok(Picket {
            runtime,
            cameras,
            webrtc,
            events,
            server,
            secure_server,
            signals,
            reload,
            panel,
            steward,
            stop,
            announcement,
        })
    }
}

/// Emits an event for each change, as long as there may be some.
async fn tell_of<T>(mut changes: watch::Receiver<T>, events: Events, event: Event) {
    while changes.changed().await.is_ok() {
        events.emit(event.clone());
    }
}

/// Stops all cameras side by side: each may take its time to let go.
fn stop_all(cameras: &mut [CameraUnit]) {
    std::thread::scope(|scope| {
        for camera in cameras {
            scope.spawn(|| camera.pipeline.stop());
        }
    });
}
