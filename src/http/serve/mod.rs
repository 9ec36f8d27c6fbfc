//! Accepting connections, and keeping slow clients from taking all the room there is.
//!
//! Everything a client may take its time for has a limit: a head, a body, an answer; and so has
//! the number of connections ([`connections`]). Heads that could be read in two ways are refused
//! ([`strict`]).

mod connections;
mod patient;
mod strict;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use axum::http::{Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::body::BodyTimeout;
use crate::config::Subnet;
use crate::rtc::{Caller, Holder, SignallingPath};
use connections::{Connections, Room};
use patient::Patient;
use strict::Strict;

pub(super) use connections::{Phase, Place};

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Ours, by which it has reached us, where that is known.
    pub local: Option<IpAddr>,
    /// How the connection is protected.
    pub scheme: Scheme,
}

impl Peer {
    /// Its address without the port, IPv4 as IPv4.
    #[must_use]
    pub fn source(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }

    /// Who it is, to the WebRTC side, with this credential.
    pub(super) fn caller(&self, holder: Holder) -> Caller {
        Caller { holder, path: self.signalling_path() }
    }

    /// The way its request took.
    pub(super) fn signalling_path(&self) -> SignallingPath {
        SignallingPath { viewer: self.source(), camera: self.local }
    }
}

/// Whether a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// It is not.
    Http,
    /// By TLS.
    Https,
}

/// The port that a connection came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnPort(pub(super) u16);

/// How much clients may have of the server.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections in all.
    pub connections: usize,
    /// Connections of one address, of a /64 by IPv6. This machine and the `proxies` are not bounded
    /// separately.
    pub connections_per_address: usize,
    /// Addresses that many clients are behind.
    pub proxies: Vec<Subnet>,
    /// From the end of one request, or the start of the connection, to the end of the next
    /// request's head.
    pub head: Duration,
    /// For a request's body.
    pub body: Duration,
    /// For a client to take any part of an answer.
    pub answer_stall: Duration,
    /// Requests on one connection.
    pub requests: u32,
    /// For how long requests are taken on one connection.
    pub age: Duration,
    /// For requests under way to finish when the server stops.
    pub goodbye: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            connections_per_address: 64,
            proxies: Vec::new(),
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            answer_stall: Duration::from_secs(10),
            requests: 1000,
            age: Duration::from_secs(600),
            goodbye: Duration::from_secs(1),
        }
    }
}

/// Bytes of a head, and of what is read ahead. Heads of browsers have about 1 KB.
const MAX_HEAD: usize = 16 * 1024;
const MAX_FIELDS: usize = 64;

/// Connections the system holds until they are accepted. Who comes when it is full is not refused
/// but left to try again after a second; the usual 128 are full after a burst that is none.
const BACKLOG: u32 = 1024;

/// Connections that may be on their way out before the next is accepted. They still hold a
/// descriptor each.
const MAX_LEAVING: usize = 8;

/// Bytes of an answer that wait in the kernel before they are sent. Of a stream that a client takes
/// slowly, more would wait there for seconds, and show it the past.
const MAX_UNSENT: u32 = 64 * 1024;

/// How long what was closed to make room may take to be gone.
const PAUSE: Duration = Duration::from_secs(1);

/// Wait before the next accept after one that failed, so that a failure that lasts is no load.
const RETRY: Duration = Duration::from_millis(10);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not allowed.
    #[error("cannot listen on {address}: {}", bind_advice(.address, .why))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: io::Error,
    },
}

/// Why an address is not to be had, and what to do.
fn bind_advice(address: &SocketAddr, why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::AddrInUse => {
            "another program has this port; end it, or set http.listen to a free port".into()
        }
        io::ErrorKind::PermissionDenied => {
            "this port needs a permission that Picket lacks; set http.listen to a port of 1024 \
             or more, or give it the right CAP_NET_BIND_SERVICE, as docs/install.md says"
                .into()
        }
        io::ErrorKind::AddrNotAvailable => format!(
            "this machine has no address {}; set http.listen to one that it has, or to 0.0.0.0 for \
             all of them",
            address.ip()
        ),
        _ => format!("{why}; set http.listen to another address and port"),
    }
}

/// A running server. Stops at once when dropped.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<Running>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Running {
    Yes,
    /// Requests under way are finished, and no more are taken.
    Stopping,
}

impl Server {
    /// Listens on `address`, whose port may be 0 for any, and serves `service`.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start(
        address: SocketAddr,
        service: Router,
        limits: Limits,
    ) -> Result<Self, ServeError> {
        let bind = |why| ServeError::Bind { address, why };
        let listener = listen(address).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let (stop, running) = watch::channel(Running::Yes);
        let connections = Connections::new(Room {
            in_all: limits.connections,
            per_network: limits.connections_per_address,
            proxies: limits.proxies.clone(),
        });
        let host = Host { service, limits: Arc::new(limits), connections, running };
        let task = tokio::spawn(host.run(listener));
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, finishes the requests under way, and ends.
    pub async fn stop(mut self) {
        self.stop.send_replace(Running::Stopping);
        if (&mut self.task).await.is_err() {
            log::error!("the http server had crashed");
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

/// What the accept loop holds.
struct Host {
    service: Router,
    limits: Arc<Limits>,
    connections: Connections,
    running: watch::Receiver<Running>,
}

impl Host {
    async fn run(mut self, listener: TcpListener) {
        let mut tasks = JoinSet::new();
        while *self.running.borrow_and_update() == Running::Yes {
            // Connections that had to make room are on their way out until their tasks end.
            let leaving = tasks.len().saturating_sub(self.connections.bound());
            tokio::select! {
                accepted = listener.accept(), if leaving < MAX_LEAVING => match accepted {
                    Ok((stream, address)) => self.welcome(stream, address, &mut tasks),
                    Err(error) => self.recover(&error, &mut tasks).await,
                },
                Some(_) = tasks.join_next() => {}
                _ = self.running.changed() => {}
            }
        }
        drop(listener);
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.limits.goodbye, all).await.is_err() {
            log::debug!("some http requests were not finished in time");
        }
    }

    fn welcome(&self, stream: TcpStream, address: SocketAddr, tasks: &mut JoinSet<()>) {
        let local = stream.local_addr().ok().map(|local| local.ip().to_canonical());
        let peer = Peer { address, local, scheme: Scheme::Http };
        let Some(place) = self.connections.admit(peer.source(), Instant::now()) else {
            log::debug!("no room for a connection from {address}");
            return;
        };
        let place = Arc::new(place);
        let (limits, running) = (Arc::clone(&self.limits), self.running.clone());
        let serving =
            serve(stream, peer, Arc::clone(&place), self.service.clone(), limits, running);
        place.occupied_by(tasks.spawn(serving));
    }

    /// Goes on after an accept that failed. Without a free descriptor it would fail again at
    /// once, for as long as the connections at hand stay.
    async fn recover(&self, error: &io::Error, tasks: &mut JoinSet<()>) {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset};
        if matches!(error.kind(), ConnectionAborted | ConnectionReset) {
            return;
        }
        let bound = self.connections.shrink();
        log::warn!("no room for a connection ({error}); from now on {bound} are kept at most");
        let closed = async { while tasks.len() > bound && tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(PAUSE, closed).await;
        tokio::time::sleep(RETRY).await;
    }
}

/// Serves one connection to its end.
async fn serve(
    stream: TcpStream,
    peer: Peer,
    place: Arc<Place>,
    router: Router,
    limits: Arc<Limits>,
    mut running: watch::Receiver<Running>,
) {
    // Answers are small and waited for.
    if let Err(error) = stream.set_nodelay(true) {
        log::debug!("cannot set TCP_NODELAY: {error}");
    }
    if let Err(error) = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(MAX_UNSENT) {
        log::debug!("cannot set TCP_NOTSENT_LOWAT: {error}");
    }
    let visit = Visit {
        peer,
        own_port: stream.local_addr().ok().map(|address| OwnPort(address.port())),
        place,
        limits: Arc::clone(&limits),
        began: Instant::now(),
        requests: AtomicU32::new(0),
        router: TowerToHyperService::new(router),
    };
    let visit = Arc::new(visit);
    let service = service_fn(move |request| Arc::clone(&visit).answer(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(2 * MAX_HEAD)
        .max_header_size(MAX_HEAD)
        .max_headers(MAX_FIELDS)
        .half_close(false)
        .serve_connection(
            TokioIo::new(Strict::new(Patient::new(stream, limits.answer_stall))),
            service,
        );
    let mut connection = std::pin::pin!(connection);
    let stopping = async {
        let _ = running.wait_for(|r| *r == Running::Stopping).await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        log::debug!("connection from {}: {error}", peer.address);
    }
}

/// One connection's requests.
struct Visit {
    peer: Peer,
    own_port: Option<OwnPort>,
    place: Arc<Place>,
    limits: Arc<Limits>,
    began: Instant,
    requests: AtomicU32,
    router: TowerToHyperService<Router>,
}

impl Visit {
    async fn answer(
        self: Arc<Self>,
        mut request: Request<Incoming>,
    ) -> Result<Response<Sent>, std::convert::Infallible> {
        self.place.enter(Phase::Handling);
        // See `strict::At::Chunked`.
        let chunked = request.headers().contains_key(TRANSFER_ENCODING);
        let extensions = request.extensions_mut();
        extensions.insert(self.peer);
        if let Some(port) = self.own_port {
            extensions.insert(port);
        }
        extensions.insert(Arc::clone(&self.place));
        extensions.insert(BodyTimeout(self.limits.body));
        let mut response = self.router.call(request).await?;
        let requests = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let enough = requests >= self.limits.requests || self.began.elapsed() >= self.limits.age;
        if chunked || enough {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        // RFC 9110 §8.6 allows none here; the library adds one to answers to HEAD.
        if response.status() == StatusCode::NO_CONTENT {
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        self.place.enter(Phase::Sending);
        Ok(response.map(|body| Sent { body, place: Arc::clone(&self.place) }))
    }
}

/// An answer's body, which tells when it is out.
struct Sent {
    body: Body,
    place: Arc<Place>,
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.place.enter(Phase::Waiting);
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
