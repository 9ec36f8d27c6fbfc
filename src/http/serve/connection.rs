//! One connection, from its first request to its end.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::connections::{ConnectionSlot, Phase};
use super::limits::{BodyTimeout, ServerLimits};
use super::server::Tls;
use super::strict_framing::StrictFraming;
use super::write_timeout::WriteTimeout;
use crate::http::peer::{LocalPort, Peer};

/// Bytes of a head, and of what is read ahead. Heads of browsers have about 1 KB.
const MAX_HEADER_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// Bytes of an answer that wait in the kernel before they are sent. Of a stream that a client takes
/// slowly, more would wait there for seconds, and show it the past.
const MAX_UNSENT: u32 = 64 * 1024;

/// The first byte of whoever speaks TLS (RFC 8446 §5.1). It is none of a request's.
const TLS_HANDSHAKE: u8 = 22;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerState {
    Running,
    /// Requests under way are finished, and no more are taken.
    Stopping,
}

/// A connection that was accepted.
pub(super) struct Connection {
    pub(super) peer: Peer,
    pub(super) slot: Arc<ConnectionSlot>,
    pub(super) router: Router,
    pub(super) limits: Arc<ServerLimits>,
    pub(super) running: watch::Receiver<ServerState>,
}

impl Connection {
    /// Serves it to its end.
    pub(super) async fn serve(mut self, stream: TcpStream, tls: Option<Tls>) {
        // Answers are small and waited for.
        if let Err(error) = stream.set_nodelay(true) {
            log::debug!("cannot set TCP_NODELAY: {error}");
        }
        if let Err(error) = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(MAX_UNSENT) {
            log::debug!("cannot set TCP_NOTSENT_LOWAT: {error}");
        }
        let local_port = stream.local_addr().ok().map(|address| LocalPort(address.port()));
        let Some(Tls { acceptor, for_plain_http }) = tls else {
            return self.requests(stream, local_port).await;
        };
        let (address, limit) = (self.peer.address, self.limits.header_timeout);
        let opening = async {
            let mut first = [0];
            stream.peek(&mut first).await?;
            if first[0] != TLS_HANDSHAKE {
                return Ok(Err(stream));
            }
            acceptor.accept(stream).await.map(Ok)
        };
        match tokio::time::timeout(limit, opening).await {
            Ok(Ok(Ok(stream))) => self.requests(stream, local_port).await,
            Ok(Ok(Err(stream))) => {
                self.router = for_plain_http;
                self.requests(stream, local_port).await;
            }
            // Every browser that does not trust the certificate yet ends here once.
            Ok(Err(error)) => log::debug!("no TLS with {address}: {error}"),
            Err(_) => log::debug!("{address} did not finish its TLS handshake"),
        }
    }

    /// Takes requests until the connection ends.
    async fn requests<S>(self, stream: S, local_port: Option<LocalPort>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { peer, slot, router, limits, mut running } = self;
        let state = ConnectionState {
            peer,
            local_port,
            slot,
            limits: Arc::clone(&limits),
            opened_at: Instant::now(),
            requests: AtomicU32::new(0),
            router: TowerToHyperService::new(router),
        };
        let state = Arc::new(state);
        let service = service_fn(move |request| Arc::clone(&state).handle(request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(2 * MAX_HEADER_BYTES)
            .max_header_size(MAX_HEADER_BYTES)
            .max_headers(MAX_HEADERS)
            .half_close(false)
            .serve_connection(
                TokioIo::new(StrictFraming::new(WriteTimeout::new(stream, limits.write_timeout))),
                service,
            );
        let mut connection = pin!(connection);
        let stopping = async {
            let _ = running.wait_for(|r| *r == ServerState::Stopping).await;
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
}

/// One connection's requests.
struct ConnectionState {
    peer: Peer,
    local_port: Option<LocalPort>,
    slot: Arc<ConnectionSlot>,
    limits: Arc<ServerLimits>,
    opened_at: Instant,
    requests: AtomicU32,
    router: TowerToHyperService<Router>,
}

impl ConnectionState {
    async fn handle(
        self: Arc<Self>,
        mut request: Request<Incoming>,
    ) -> Result<Response<TrackedBody>, std::convert::Infallible> {
        self.slot.set_phase(Phase::Handling);
        // See `strict_framing::Position::Chunked`.
        let chunked = request.headers().contains_key(TRANSFER_ENCODING);
        let extensions = request.extensions_mut();
        extensions.insert(self.peer);
        if let Some(port) = self.local_port {
            extensions.insert(port);
        }
        extensions.insert(Arc::clone(&self.slot));
        extensions.insert(BodyTimeout(self.limits.body_timeout));
        let mut response = self.router.call(request).await?;
        let requests = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let enough =
            requests >= self.limits.max_requests || self.opened_at.elapsed() >= self.limits.max_age;
        if chunked || enough {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        // RFC 9110 §8.6 allows none here; the library adds one to answers to HEAD.
        if response.status() == StatusCode::NO_CONTENT {
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        self.slot.set_phase(Phase::Sending);
        Ok(response.map(|body| TrackedBody { body, slot: Arc::clone(&self.slot) }))
    }
}

/// An answer's body, which tells when it is out.
struct TrackedBody {
    body: Body,
    slot: Arc<ConnectionSlot>,
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        self.slot.set_phase(Phase::Waiting);
    }
}

impl HttpBody for TrackedBody {
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
