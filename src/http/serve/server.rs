//! Listening, accepting connections, and stopping.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::connection::{Connection, ServerState};
use super::connections::{ConnectionLimits, ConnectionTable};
use super::limits::ServerLimits;
use crate::http::peer::{Peer, Scheme};
use crate::http::secure::misdirected_service;

/// Connections the system holds until they are accepted. A client that comes when it is
/// full is not refused but left to try again after a second; the usual 128 are soon full.
const BACKLOG: u32 = 1024;

/// Connections that may be closing when the next is accepted. They still hold a
/// descriptor each.
const MAX_CLOSING: usize = 8;

/// How long what was closed to make room may take to be gone.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Wait before the next accept after one that failed, so that a lasting failure causes no load.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not allowed.
    #[error("cannot listen on {address}: {}", bind_advice(.key, .address, .why))]
    Bind {
        /// The key that asks for it.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: io::Error,
    },
}

/// Why an address cannot be listened on, and what to do.
fn bind_advice(key: &str, address: &SocketAddr, why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another program has this port; end it, or set {key} to a free port")
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "this port needs a permission that Picket lacks; set {key} to a port of 1024 or \
                 more, or give it the right CAP_NET_BIND_SERVICE, as docs/install.md says"
            )
        }
        io::ErrorKind::AddrNotAvailable => format!(
            "this machine has no address {}; set {key} to one that it has, or to 0.0.0.0 for \
             all of them",
            address.ip()
        ),
        _ => format!("{why}; set {key} to another address and port"),
    }
}

/// What is served, at one address or several, and how much clients may have of it in all.
#[derive(Clone)]
pub struct Service {
    routes: Router,
    limits: Arc<ServerLimits>,
    connections: ConnectionTable,
}

impl Service {
    /// Serves `routes` within `limits`.
    #[must_use]
    pub fn new(routes: Router, limits: ServerLimits) -> Self {
        let connections = ConnectionTable::new(ConnectionLimits {
            total: limits.max_connections,
            per_network: limits.max_connections_per_address,
            proxies: limits.proxies.clone(),
        });
        Self { routes, limits: Arc::new(limits), connections }
    }
}

/// A running server. Stops at once when dropped.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<ServerState>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Listens on `address`, whose port may be 0 for any, and serves `service`, by TLS where `tls` is
    /// given.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start(
        address: SocketAddr,
        service: Service,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<Self, ServeError> {
        let key = if tls.is_some() { "http.tls_listen" } else { "http.listen" };
        let bind = |why| ServeError::Bind { key, address, why };
        let listener = listen(address).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let (stop, running) = watch::channel(ServerState::Running);
        let tls = tls.map(|config| Tls {
            acceptor: TlsAcceptor::from(config),
            for_plain_http: misdirected_service(),
        });
        let acceptor = Acceptor { service, tls, running };
        let task = tokio::spawn(acceptor.run(listener));
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, finishes the requests under way, and ends.
    pub async fn stop(mut self) {
        self.stop.send_replace(ServerState::Stopping);
        if (&mut self.task).await.is_err() {
            log::error!("the HTTP server has crashed");
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart need not wait until the system has forgotten the connections before it.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a server by TLS needs.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) acceptor: TlsAcceptor,
    /// Answers whoever comes without.
    pub(super) for_plain_http: Router,
}

/// What the accept loop holds.
struct Acceptor {
    service: Service,
    tls: Option<Tls>,
    running: watch::Receiver<ServerState>,
}

impl Acceptor {
    async fn run(mut self, listener: TcpListener) {
        let mut tasks = JoinSet::new();
        while *self.running.borrow_and_update() == ServerState::Running {
            // Connections that had to make room are closing until their tasks end.
            let closing = tasks.len().saturating_sub(self.service.connections.bound());
            tokio::select! {
                accepted = listener.accept(), if closing < MAX_CLOSING => match accepted {
                    Ok((stream, address)) => self.accept(stream, address, &mut tasks),
                    Err(error) => self.after_failed_accept(&error, &mut tasks).await,
                },
                Some(_) = tasks.join_next() => {}
                _ = self.running.changed() => {}
            }
        }
        drop(listener);
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.service.limits.shutdown_timeout, all).await.is_err() {
            log::debug!("some HTTP requests were not finished in time");
        }
    }

    fn accept(&self, stream: TcpStream, address: SocketAddr, tasks: &mut JoinSet<()>) {
        let local = stream.local_addr().ok().map(|local| local.ip().to_canonical());
        let scheme = if self.tls.is_some() { Scheme::Https } else { Scheme::Http };
        let peer = Peer { address, local, scheme };
        let Some(slot) = self.service.connections.admit(peer.source(), Instant::now()) else {
            log::debug!("no room for a connection from {address}");
            return;
        };
        let slot = Arc::new(slot);
        let connection = Connection {
            peer,
            slot: Arc::clone(&slot),
            router: self.service.routes.clone(),
            limits: Arc::clone(&self.service.limits),
            running: self.running.clone(),
        };
        slot.set_task(tasks.spawn(connection.serve(stream, self.tls.clone())));
    }

    /// Goes on after an accept that failed. Without a free descriptor it would fail again at
    /// once, for as long as the connections at hand stay.
    async fn after_failed_accept(&self, error: &io::Error, tasks: &mut JoinSet<()>) {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset};
        if matches!(error.kind(), ConnectionAborted | ConnectionReset) {
            return;
        }
        let bound = self.service.connections.shrink();
        log::warn!("no room for a connection ({error}); at most {bound} are kept from now on");
        let closed = async { while tasks.len() > bound && tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closed).await;
        tokio::time::sleep(RETRY_DELAY).await;
    }
}
