//! The HTTP side with real neighbours: hub, WebRTC, and the test picture, in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use picket::camera::Constraints;
use picket::config::{Auth as Setting, PasswordHash};
use picket::http::axum::Router;
use picket::http::axum::body::Body;
use picket::http::axum::http::{Request, Response};
use picket::http::{ExtraRoutes, RouteError};
use picket::media::h264::ProfileLevel;
use picket::stream::SourceState;
use picket::testing::appliance::Device;
use picket::testing::camera::CameraControls;
use picket::testing::camera::pattern::TestPattern;
use picket::testing::encoder::Encoder;
use picket::testing::encoder::openh264::OpenH264;
use picket::testing::events::Events;
use picket::testing::http::{
    Authenticator, Camera, Dependencies, HttpSettings, HttpState, Middleware, PasswordStore, Peer,
    Scheme, Server, ServerLimits, Service, Sharing, Snapshotter, service,
};
use picket::testing::hub::{Hub, PublishSignal};
use picket::testing::pipeline;
use picket::testing::pipeline::{FixedSettings, LiveSettings, OutputSettings, Pipeline};
use picket::testing::site::Site;
use picket::testing::transform::{Chain, TransformSettings};
use picket::testing::webrtc::{WatchedCamera, WebRtc, WebRtcSettings};
use tokio::sync::watch;
use tower::ServiceExt;

/// What the server under test is to be like.
pub struct TestServerOptions {
    pub auth: Setting,
    pub settings: HttpSettings,
    pub limits: ServerLimits,
    pub max_viewers: usize,
    pub infinite_frames: bool,
    pub source: Source,
    pub site: Site,
    pub snapshots: Option<Arc<dyn Snapshotter>>,
    pub device: Option<Device>,
    pub extras: Vec<ExtraRoutes>,
    pub layers: Vec<Middleware>,
}

#[derive(PartialEq, Eq)]
pub enum Source {
    Pattern,
    Ended,
    Lost,
}

impl Default for TestServerOptions {
    fn default() -> Self {
        Self {
            auth: Setting::Unset,
            settings: HttpSettings { hostname: "porch".into(), ..HttpSettings::default() },
            limits: ServerLimits::default(),
            max_viewers: 4,
            infinite_frames: true,
            source: Source::Pattern,
            site: Site::embedded(),
            snapshots: None,
            device: None,
            extras: Vec::new(),
            layers: Vec::new(),
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

/// A running HTTP side.
pub struct TestServer {
    pub runtime: tokio::runtime::Runtime,
    pub address: SocketAddr,
    pub auth: Arc<Authenticator>,
    pub hub: Hub,
    pub webrtc: Arc<WebRtc>,
    /// The service without a connection, for requests from elsewhere.
    pub service: Router,
    pub http: Option<Server>,
    /// Passwords that were set.
    pub store: Store,
    /// How often the source was told to begin anew.
    pub restarts: Arc<AtomicUsize>,
    /// Seconds that the clock of sign-in is ahead.
    pub ahead: Arc<AtomicUsize>,
    _pipeline: Option<Pipeline>,
    _live: watch::Sender<LiveSettings>,
}

impl TestServer {
    pub fn new() -> Self {
        Self::build(TestServerOptions::default())
    }

    pub fn build(options: TestServerOptions) -> Self {
        Self::try_build(options).expect("a routing table")
    }

    pub fn try_build(options: TestServerOptions) -> Result<Self, RouteError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let (signal, events) = (PublishSignal::default(), Events::default());
        let hub = Hub::signalling(signal.clone());
        let (live, receiver) = watch::channel(LiveSettings {
            outputs: vec![OutputSettings::main(500_000)],
            fps: Some(30.0),
            overlay: None,
        });
        let controls = CameraControls::default();
        let pipeline = match options.source {
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
        let webrtc = WebRtc::start(
            WebRtcSettings {
                tcp: false,
                udp_port: 0,
                ipv6: true,
                announce: Vec::new(),
                ice_servers: Vec::new(),
                live_broadcast: options.settings.sharing == Sharing::Broadcast,
                max_viewers: options.max_viewers,
                infinite_frames: options.infinite_frames,
            },
            vec![WatchedCamera {
                name: "main".into(),
                hub: hub.clone(),
                expected_profile: ProfileLevel::constrained_baseline(31),
            }],
            signal,
            events.clone(),
        );
        let webrtc = Arc::new(webrtc.expect("starts"));
        let (store, restarts, ahead) = (Store::default(), Arc::default(), Arc::default());
        let clock = {
            let ahead: Arc<AtomicUsize> = Arc::clone(&ahead);
            let start = Instant::now();
            // Stands still but for what tests add, so that no test depends on its own speed.
            move || start + Duration::from_secs(ahead.load(Ordering::SeqCst) as u64)
        };
        let auth =
            Authenticator::with_clock(&options.auth, Box::new(store.clone()), Arc::new(clock));
        let auth = Arc::new(auth);
        runtime.spawn(picket::testing::http::end_revoked_sessions(
            Arc::clone(&auth),
            Arc::clone(&webrtc),
        ));
        let restarted: Arc<AtomicUsize> = Arc::clone(&restarts);
        let camera = Camera {
            name: "main".into(),
            hub: hub.clone(),
            controls,
            snapshots: options.snapshots,
            restart_source: Box::new(move || {
                restarted.fetch_add(1, Ordering::SeqCst);
            }),
            metrics: None,
            settle: Duration::ZERO,
        };
        let state = HttpState::new(Dependencies {
            cameras: vec![camera],
            events,
            webrtc: Arc::clone(&webrtc),
            auth: Arc::clone(&auth),
            pages: Arc::new(options.site),
            device: options.device,
            metrics: Vec::new(),
            settings: options.settings,
        });
        let service = service(&state, options.extras, options.layers)?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let http = runtime.block_on(Server::start(
            any,
            Service::new(service.clone(), options.limits),
            None,
        ));
        let http = http.expect("starts");
        Ok(Self {
            address: http.address(),
            runtime,
            auth,
            hub,
            webrtc,
            service,
            http: Some(http),
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

fn parts(controls: CameraControls, live: watch::Receiver<LiveSettings>) -> pipeline::Parts {
    pipeline::Parts {
        camera_name: None,
        source_name: "pattern".into(),
        camera: Box::new(TestPattern::new()),
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
