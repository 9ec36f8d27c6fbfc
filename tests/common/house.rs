//! The HTTP side with real neighbours: hub, WebRTC, and the test picture, in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use picket::appliance::Device;
use picket::camera::pattern::Pattern;
use picket::camera::{Constraints, ControlPanel};
use picket::config::{Auth as Setting, PasswordHash};
use picket::encoder::Encoder;
use picket::encoder::openh264::OpenH264;
use picket::http::axum::Router;
use picket::http::axum::body::Body;
use picket::http::axum::http::{Request, Response};
use picket::http::{
    Auth, ExtraRoutes, HttpState, Limits, Parts, PasswordStore, Peer, RouteError, Scheme, Server,
    Settings, Sharing, Snapshotter, Wrap, service,
};
use picket::hub::{Hub, SourceState};
use picket::media::h264::ProfileLevel;
use picket::pipeline::{self, FixedSettings, LiveSettings, Pipeline};
use picket::rtc::{Rtc, RtcSettings};
use picket::site::Site;
use picket::transform::{Chain, TransformSettings};
use tokio::sync::watch;
use tower::ServiceExt;

/// What the house is to be like.
pub struct Plan {
    pub auth: Setting,
    pub settings: Settings,
    pub limits: Limits,
    pub max_viewers: usize,
    pub infinite_frames: bool,
    pub source: Source,
    pub site: Site,
    pub snapshots: Option<Arc<dyn Snapshotter>>,
    pub device: Option<Device>,
    pub extras: Vec<ExtraRoutes>,
    pub wraps: Vec<Wrap>,
}

#[derive(PartialEq, Eq)]
pub enum Source {
    Pattern,
    Ended,
    Lost,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            auth: Setting::Unset,
            settings: Settings { hostname: "porch".into(), ..Settings::default() },
            limits: Limits::default(),
            max_viewers: 4,
            infinite_frames: true,
            source: Source::Pattern,
            site: Site::embedded(),
            snapshots: None,
            device: None,
            extras: Vec::new(),
            wraps: Vec::new(),
        }
    }
}

/// Keeps what it is told to.
#[derive(Clone, Default)]
pub struct Store(pub Arc<Mutex<Vec<String>>>);

impl PasswordStore for Store {
    fn store(&self, hash: &PasswordHash) -> Result<(), String> {
        self.0.lock().unwrap().push(hash.expose().to_owned());
        Ok(())
    }
}

/// A running house.
pub struct House {
    pub runtime: tokio::runtime::Runtime,
    pub address: SocketAddr,
    pub auth: Arc<Auth>,
    pub hub: Hub,
    pub rtc: Arc<Rtc>,
    /// The service without a connection, for requests from elsewhere.
    pub service: Router,
    pub server: Option<Server>,
    /// Passwords that were set.
    pub store: Store,
    /// How often the source was told to begin anew.
    pub restarts: Arc<AtomicUsize>,
    /// Seconds that the clock of sign-in is ahead.
    pub ahead: Arc<AtomicUsize>,
    _pipeline: Option<Pipeline>,
    _live: watch::Sender<LiveSettings>,
}

impl House {
    pub fn new() -> Self {
        Self::build(Plan::default())
    }

    pub fn build(plan: Plan) -> Self {
        Self::try_build(plan).expect("a routing table")
    }

    pub fn try_build(plan: Plan) -> Result<Self, RouteError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let hub = Hub::new();
        let (live, receiver) =
            watch::channel(LiveSettings { bitrate_bps: 500_000, fps: Some(30.0), overlay: None });
        let controls = ControlPanel::default();
        let pipeline = match plan.source {
            Source::Pattern => {
                let parts = parts(controls.clone(), receiver);
                Some(Pipeline::start(parts, hub.clone()).expect("starts"))
            }
            Source::Ended => {
                hub.set_source(SourceState::Ended);
                None
            }
            Source::Lost => {
                hub.set_source(SourceState::Lost("the cable is loose".into()));
                None
            }
        };
        let rtc = Rtc::start(
            RtcSettings {
                tcp: false,
                udp_port: 0,
                ipv6: true,
                announce: Vec::new(),
                ice_servers: Vec::new(),
                live_broadcast: plan.settings.sharing == Sharing::Broadcast,
                max_viewers: plan.max_viewers,
                infinite_frames: plan.infinite_frames,
                expected_profile: ProfileLevel::constrained_baseline(31),
            },
            hub.clone(),
        );
        let rtc = Arc::new(rtc.expect("starts"));
        let (store, restarts, ahead) = (Store::default(), Arc::default(), Arc::default());
        let clock = {
            let ahead: Arc<AtomicUsize> = Arc::clone(&ahead);
            let start = Instant::now();
            // Stands still but for what tests add, so that no test depends on its own speed.
            move || start + Duration::from_secs(ahead.load(Ordering::SeqCst) as u64)
        };
        let auth = Auth::with_clock(&plan.auth, Box::new(store.clone()), Arc::new(clock));
        let auth = Arc::new(auth);
        runtime.spawn(picket::http::end_withdrawn(Arc::clone(&auth), Arc::clone(&rtc)));
        let restarted: Arc<AtomicUsize> = Arc::clone(&restarts);
        let state = HttpState::new(Parts {
            hub: hub.clone(),
            rtc: Arc::clone(&rtc),
            auth: Arc::clone(&auth),
            pages: Arc::new(plan.site),
            controls,
            snapshots: plan.snapshots,
            device: plan.device,
            meters: Vec::new(),
            restart_source: Box::new(move || {
                restarted.fetch_add(1, Ordering::SeqCst);
            }),
            settings: plan.settings,
        });
        let service = service(&state, plan.extras, plan.wraps)?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = runtime.block_on(Server::start(any, service.clone(), plan.limits));
        let server = server.expect("starts");
        Ok(Self {
            address: server.address(),
            runtime,
            auth,
            hub,
            rtc,
            service,
            server: Some(server),
            store,
            restarts,
            ahead,
            _pipeline: pipeline,
            _live: live,
        })
    }

    /// Has the service answer a request that came from `source`, as if over the network.
    pub fn ask_from(&self, source: &str, mut request: Request<Body>) -> Response<Body> {
        let peer = Peer {
            address: SocketAddr::new(source.parse().expect("an address"), 50_000),
            local: None,
            scheme: Scheme::Http,
        };
        request.extensions_mut().insert(peer);
        let answer = self.service.clone().oneshot(request);
        self.runtime.block_on(answer).expect("infallible")
    }
}

fn parts(controls: ControlPanel, live: watch::Receiver<LiveSettings>) -> pipeline::Parts {
    pipeline::Parts {
        source_name: "pattern".into(),
        camera: Box::new(Pattern::new()),
        controls,
        chain: Chain::new(TransformSettings::default()).expect("no steps"),
        encoder: Box::new(|settings, sink| {
            Ok(Box::new(OpenH264::new(settings, sink)?) as Box<dyn Encoder>)
        }),
        fixed: FixedSettings {
            constraints: Constraints { width: Some(320), height: Some(240), fps: None },
            keyframe_interval: Duration::from_secs(10),
            infinite_frames: true,
            keep_warm: false,
            time_delay: Duration::ZERO,
        },
        live,
    }
}
