//! Wires the rooms together: builds the house from a [`Config`], keeps it running, follows the
//! configuration file, and closes up.
//!
//! This is also the library's front door: [`Picket::builder`] takes a configuration and whatever
//! a program wants to bring itself, a camera, steps between camera and encoder, routes,
//! middleware; [`Picket::run`] serves until told to stop.

mod controls;
mod device;
mod encoders;
mod examine;
mod first_camera;
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

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

pub use examine::check;
pub use logging::start as start_logging;
pub use memory::return_freed_memory;
pub use probe::{Probe, probe};
pub use reload::ConfigSource;
pub use welcome::Welcome;

use crate::appliance::{Announcement, Steward};
use crate::camera::{Camera, ControlPanel};
use crate::config::{Config, Problem};
use crate::http::{ExtraRoutes, HttpState, IceServers, Wrap};
use crate::hub::Hub;
use crate::pipeline::{LiveSettings, Parts, Pipeline};
use crate::rtc::Rtc;
use crate::stills::Stills;
use crate::transform::{Chain, Transform};
use listen::Listening;
use meters::House;
use panel::FrontPanel;
use reload::Reload;
use service::Service;

/// Everything must be over this long after a signal to stop: a little before the two seconds that
/// are promised.
const STOP_WITHIN: Duration = Duration::from_millis(1900);

/// How much of that saying goodbye may take. The rest is for the camera and the encoder, which may
/// be stuck as well.
const GOODBYE_WITHIN: Duration = Duration::from_millis(1200);

/// Why Picket could not be built or did not run to a good end. Says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PicketError {
    /// A transform's settings make no sense.
    #[error(transparent)]
    Transform(#[from] crate::transform::TransformError),
    /// The UDP port for viewers cannot be had.
    #[error(transparent)]
    Rtc(#[from] crate::rtc::StartError),
    /// The HTTP address cannot be had.
    #[error(transparent)]
    Serve(#[from] crate::http::ServeError),
    /// The routing table makes no sense.
    #[error(transparent)]
    Route(#[from] crate::http::RouteError),
    /// The system gives no threads or signals.
    #[error("the system refused what Picket needs to run: {0}")]
    System(std::io::Error),
}

impl From<std::io::Error> for PicketError {
    fn from(error: std::io::Error) -> Self {
        Self::System(error)
    }
}

/// Collects what a Picket is made of.
pub struct Builder {
    config: Config,
    source: ConfigSource,
    camera: Option<(String, Box<dyn Camera>)>,
    transforms: Vec<Box<dyn Transform>>,
    routes: Vec<ExtraRoutes>,
    layers: Vec<Wrap>,
}

/// A house ready to be lived in: sockets are open, threads run, the camera rests until somebody
/// comes.
pub struct Picket {
    runtime: Runtime,
    pipeline: Pipeline,
    rtc: Arc<Rtc>,
    stills: Stills,
    server: Listening,
    signals: Signals,
    reload: Reload,
    panel: FrontPanel,
    /// Who does what the button is for, on the image.
    steward: Option<Steward>,
    stop: watch::Sender<bool>,
    /// Answers for the device's name, on the image.
    announcement: Option<Announcement>,
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
    /// Begins with a configuration; [`Config::default`] is the test picture on loopback.
    #[must_use]
    pub fn builder(config: Config) -> Builder {
        Builder {
            config,
            source: ConfigSource::default(),
            camera: None,
            transforms: Vec::new(),
            routes: Vec::new(),
            layers: Vec::new(),
        }
    }

    /// Where HTTP is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What to tell the owner at the start: where to watch, and whether a password guards it.
    #[must_use]
    pub fn welcome(&self) -> Welcome {
        let config = self.reload.config();
        let name = match &self.announcement {
            Some(_) => Some(config.device.hostname.to_string()),
            None => welcome::name_of_the_system(),
        };
        Welcome::new(self.server.address(), name, &config.auth)
    }

    /// The UDP port viewers use.
    #[must_use]
    pub fn udp_port(&self) -> u16 {
        self.rtc.port()
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
        let Self { runtime, mut pipeline, rtc, server, mut signals, mut reload, .. } = self;
        let Self { mut panel, steward, stop, stills, announcement: _announcement, .. } = self;
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
                    () = service.heartbeat() => service.beat(&pipeline, &rtc).await,
                    press = panel.pressed() => {
                        // Beside everything else: the steward may take its time.
                        tokio::spawn(panel::answer(press, steward.clone()));
                    }
                }
            }
            log::info!("stopping");
            let over = Instant::now() + STOP_WITHIN;
            service.stopping();
            let closing = async {
                stills.stop();
                rtc.stop().await;
                server.stop().await;
            };
            if tokio::time::timeout(GOODBYE_WITHIN, closing).await.is_err() {
                log::warn!("some connections could not be closed in time");
            }
            panel.stop().await;
            let released = tokio::task::spawn_blocking(move || pipeline.stop());
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

    /// Takes pictures from `camera`, whatever the configuration says of the source.
    #[must_use]
    pub fn camera(mut self, camera: impl Camera + 'static) -> Self {
        self.camera = Some(("the program's own camera".into(), Box::new(camera)));
        self
    }

    /// Has every picture pass through `step` before Picket's own steps. Steps run in the order
    /// they were added.
    #[must_use]
    pub fn transform(mut self, step: impl Transform + 'static) -> Self {
        self.transforms.push(Box::new(step));
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
        let Self { mut config, source: from, camera, transforms, routes, layers } = self;
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
        let hub = Hub::new();
        let steward = Steward::from_environment();
        let panel = FrontPanel::start(&config, hub.clone(), steward.as_ref(), runtime.handle());
        let (live, live_receiver) = watch::channel(parts::live(&config));
        let (rtc, problem) = listen::start_rtc(parts::rtc(&config), &hub, places)?;
        let rtc = Arc::new(rtc);
        tell(problem);
        let (site, problems) = parts::site(&config, places);
        let site = Arc::new(site);
        tell(problems);
        let auth = Arc::new(parts::auth(&config, from.file.as_deref(), steward.as_ref()));
        let controls = ControlPanel::new(controls::controls(&config));
        let source = Source { camera, controls: controls.clone(), transforms };
        let pipeline = start_pipeline(&config, source, live_receiver, hub.clone())?;
        let stills = Stills::new(hub.clone(), pipeline.tap().clone());
        let house = House {
            counters: pipeline.counters().clone(),
            copies: pipeline.copies().clone(),
            stills: stills.clone(),
            runtime: runtime.handle().clone(),
        };
        let restart = pipeline.restarter();
        let ice_servers = IceServers::from(parts::ice_servers(&config));
        let device = steward
            .clone()
            .map(|steward| device::look_after(steward, &config, hub.clone(), runtime.handle()));
        let (names, other_name) = watch::channel(None);
        let rooms = parts::Rooms {
            device,
            other_name: other_name.clone(),
            hub: hub.clone(),
            rtc: rtc.clone(),
            stills: stills.clone(),
            auth: auth.clone(),
            site,
            ice_servers: ice_servers.clone(),
            controls: controls.clone(),
        };
        runtime.spawn(crate::http::end_withdrawn(rooms.auth.clone(), rooms.rtc.clone()));
        let parts = parts::http(&config, rooms, house, restart);
        let state = HttpState::new(parts);
        let service = crate::http::service(&state, routes, layers)?;
        let limits = parts::limits(&config);
        let wanted = config.http.listen;
        let listening = Listening::start(wanted, service, limits, places);
        let (server, problem) = runtime.block_on(listening)?;
        tell(problem);
        let announcement = steward.as_ref().and_then(|steward| {
            let wanted = config.camera.source.clone();
            runtime.spawn(device::report(steward.clone(), wanted, hub));
            runtime.spawn(device::report_name(steward.clone(), other_name));
            let _inside = runtime.enter();
            device::announce(&config, server.address().port(), names)
        });
        let reload = Reload::new(
            config,
            from,
            reload::Reached { live, controls, auth, rtc: rtc.clone(), ice_servers },
        );
        let stop = watch::Sender::new(false);
        Ok(Picket {
            runtime,
            pipeline,
            rtc,
            stills,
            server,
            signals,
            reload,
            panel,
            steward,
            stop,
            announcement,
        })
    }
}

/// Tells what could not be done as the configuration says.
fn tell(problems: impl IntoIterator<Item = Problem>) {
    problems.into_iter().for_each(|problem| log::warn!("{problem}"));
}

/// What is before the encoder.
struct Source {
    /// The program's own camera, if it brings one, and what to call it.
    camera: Option<(String, Box<dyn Camera>)>,
    controls: ControlPanel,
    transforms: Vec<Box<dyn Transform>>,
}

fn start_pipeline(
    config: &Config,
    source: Source,
    live: watch::Receiver<LiveSettings>,
    hub: Hub,
) -> Result<Pipeline, PicketError> {
    let Source { camera, controls, transforms } = source;
    let touched = parts::Touched::by(config, transforms.len());
    let mut transform = parts::transform(config);
    let (source_name, camera) =
        camera.unwrap_or_else(|| parts::camera(config, touched, &mut transform));
    let chain = Chain::new(transform)?;
    let chain = transforms.into_iter().fold(chain, Chain::with_transform);
    let encoder = encoders::factory(config.encoder.backend, chain.copies());
    let parts =
        Parts { source_name, camera, controls, chain, encoder, fixed: parts::fixed(config), live };
    Ok(Pipeline::start(parts, hub)?)
}
