//! The ports: those that the configuration asks for, else the nearest that can be had.
//!
//! A port that is taken, or an address that this machine does not have yet, is no reason to show
//! no picture. What is used instead is never reachable from more places than what was asked for,
//! and the address that was asked for is taken as soon as it is free.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::task::{JoinHandle, JoinSet};

use crate::config::{Config, Places, Problem, ProblemKind};
use crate::http::{ServeError, Server, Service};
use crate::webrtc::{StartError, WebRtc, WebRtcSettings};

/// How often an address that could not be had is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Where the web server is asked to listen.
pub(super) struct Wanted {
    /// The key that says so.
    pub(super) key: &'static str,
    pub(super) address: SocketAddr,
    /// The port that is tried if that one cannot be had.
    pub(super) usual_port: u16,
    /// What HTTPS is served with.
    pub(super) tls: Option<Arc<ServerConfig>>,
}

impl Wanted {
    /// HTTP.
    pub(super) fn plain(config: &Config) -> Self {
        let usual_port = Config::default().http.listen.port();
        Self { key: "http.listen", address: config.http.listen, usual_port, tls: None }
    }

    /// HTTPS.
    pub(super) fn secure(config: &Config, tls: Arc<ServerConfig>) -> Self {
        let usual_port = Config::default().http.listen_tls().port();
        let address = config.http.listen_tls();
        Self { key: "http.tls_listen", address, usual_port, tls: Some(tls) }
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// The web server, at one address or, once the one that was asked for could be had later, at two.
pub(super) struct Listening {
    address: SocketAddr,
    servers: Arc<Mutex<Vec<Server>>>,
    /// Waits for the address that was asked for.
    waiting: Option<JoinHandle<()>>,
}

impl Listening {
    /// Serves at what is wanted, else as near to it as can be; the problem says where, and why.
    ///
    /// # Errors
    /// When no port at all can be had.
    pub(super) async fn start(
        wanted: Wanted,
        service: Service,
        places: &Places,
    ) -> Result<(Self, Option<Problem>), ServeError> {
        let start = |address| Server::start(address, service.clone(), wanted.tls.clone());
        let error = match start(wanted.address).await {
            Ok(server) => {
                let address = server.address();
                let servers = Arc::new(Mutex::new(vec![server]));
                return Ok((Self { address, servers, waiting: None }, None));
            }
            Err(error) => error,
        };
        let ServeError::Bind { why, .. } = &error;
        let kind = why.kind();
        let mut found = None;
        for address in nearest(wanted.address, wanted.usual_port, kind) {
            if let Ok(server) = start(address).await {
                found = Some(server);
                break;
            }
        }
        let Some(server) = found else { return Err(error) };
        let address = server.address();
        let scheme = wanted.scheme();
        let message = format!("cannot be used: {error}; until then it is {scheme}://{address}/");
        let problem = places.problem(wanted.key, ProblemKind::Refused, &message);
        let servers = Arc::new(Mutex::new(vec![server]));
        // A right that lacks does not come by itself.
        let may_come = matches!(kind, ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable);
        let waiting =
            may_come.then(|| tokio::spawn(take_later(wanted, service.clone(), servers.clone())));
        Ok((Self { address, servers, waiting }, Some(problem)))
    }

    /// Where it listened first.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, finishes the requests under way, and ends.
    pub(super) async fn stop(self) {
        if let Some(waiting) = self.waiting {
            waiting.abort();
        }
        let servers =
            std::mem::take(&mut *self.servers.lock().unwrap_or_else(PoisonError::into_inner));
        // Side by side: each may take its time to finish what is under way.
        let mut stopping = JoinSet::new();
        servers.into_iter().for_each(|server| drop(stopping.spawn(server.stop())));
        while stopping.join_next().await.is_some() {}
    }
}

/// Takes the address that was asked for as soon as it can be had.
async fn take_later(wanted: Wanted, service: Service, servers: Arc<Mutex<Vec<Server>>>) {
    let (key, scheme, address) = (wanted.key, wanted.scheme(), wanted.address);
    loop {
        tokio::time::sleep(AGAIN).await;
        if let Ok(server) = Server::start(address, service.clone(), wanted.tls.clone()).await {
            log::info!("{key} is available now: watch at {scheme}://{address}/");
            servers.lock().unwrap_or_else(PoisonError::into_inner).push(server);
            return;
        }
    }
}

/// What to try in place of an address: another port of it, else this machine alone, as without any
/// configuration.
fn nearest(wanted: SocketAddr, usual_port: u16, kind: ErrorKind) -> Vec<SocketAddr> {
    let default = SocketAddr::new(Config::default().http.listen.ip(), usual_port);
    let mut hosts = vec![(wanted.ip(), kind == ErrorKind::AddrNotAvailable)];
    if wanted.ip() == IpAddr::from([0u16; 8]) {
        // A machine without IPv6. All of its addresses of IPv4 are what `[::]` stands for, too.
        hosts.push((Ipv4Addr::UNSPECIFIED.into(), true));
    }
    hosts.push((default.ip(), true));
    let mut nearest = Vec::new();
    for (host, with_its_port) in hosts {
        let own = with_its_port.then_some(wanted.port());
        for port in own.into_iter().chain([default.port(), 0]) {
            let address = SocketAddr::new(host, port);
            if address != wanted && !nearest.contains(&address) {
                nearest.push(address);
            }
        }
    }
    nearest
}

/// Starts WebRTC on the port that was asked for, else on the usual one, else on any. `start` is
/// given the settings.
///
/// # Errors
/// When no port can be had, or the system lacks what WebRTC needs.
pub(super) fn start_webrtc(
    settings: WebRtcSettings,
    start: impl Fn(WebRtcSettings) -> Result<WebRtc, StartError>,
    places: &Places,
) -> Result<(WebRtc, Option<Problem>), StartError> {
    let wanted = settings.udp_port;
    let error = match start(settings.clone()) {
        Ok(webrtc) => return Ok((webrtc, None)),
        Err(error @ StartError::Bind { .. }) => error,
        Err(error) => return Err(error),
    };
    let usual = Config::default().webrtc.udp_port;
    for udp_port in [usual, 0].into_iter().filter(|port| *port != wanted) {
        if let Ok(webrtc) = start(WebRtcSettings { udp_port, ..settings.clone() }) {
            let message = format!("cannot be used: {error}; {} is used", webrtc.port());
            let problem = places.problem("webrtc.udp_port", ProblemKind::Refused, &message);
            return Ok((webrtc, Some(problem)));
        }
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::ServerLimits;
    use crate::http::axum::Router;

    fn tried(wanted: &str, kind: ErrorKind) -> Vec<String> {
        nearest(wanted.parse().unwrap(), 8000, kind).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_used_instead_is_never_more_open() {
        for wanted in ["127.0.0.1:80", "[::1]:80", "192.168.1.5:80", "[fd00::1]:80"] {
            for kind in [ErrorKind::AddrInUse, ErrorKind::AddrNotAvailable, ErrorKind::Other] {
                for address in nearest(wanted.parse().unwrap(), 8000, kind) {
                    let wanted: SocketAddr = wanted.parse().unwrap();
                    let open = address.ip() == wanted.ip() || address.ip().is_loopback();
                    assert!(open, "{wanted}: {address}");
                }
            }
        }
    }

    #[test]
    fn the_nearest_comes_first() {
        let local = ["127.0.0.1:80", "127.0.0.1:8000", "127.0.0.1:0"];
        let of_all = ["0.0.0.0:8000", "0.0.0.0:0"];
        let told = tried("0.0.0.0:80", ErrorKind::PermissionDenied);
        assert_eq!(told, [&of_all[..], &local].concat());
        let told = tried("[::]:80", ErrorKind::Unsupported);
        assert_eq!(told[..4], ["[::]:8000", "[::]:0", "0.0.0.0:80", "0.0.0.0:8000"]);
        let told = tried("127.0.0.1:8000", ErrorKind::AddrInUse);
        assert_eq!(told, ["127.0.0.1:0"]);
        assert!(tried("203.0.113.1:80", ErrorKind::AddrNotAvailable).contains(&local[0].into()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_address_that_was_asked_for_is_taken_when_it_is_free() {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let wanted = holder.local_addr().unwrap();
        let places = Places::default();
        let asked = Wanted { key: "http.listen", address: wanted, usual_port: 8000, tls: None };
        let service = Service::new(Router::new(), ServerLimits::default());
        let started = Listening::start(asked, service, &places);
        let (listening, problem) = started.await.unwrap();
        let told = problem.unwrap().to_string();
        assert!(told.starts_with("http.listen: cannot be used: cannot listen on"), "{told}");
        assert!(listening.address().ip().is_loopback() && listening.address() != wanted, "{told}");
        drop(holder);
        while std::net::TcpStream::connect(wanted).is_err() {
            tokio::time::sleep(AGAIN).await;
        }
        listening.stop().await;
    }
}
