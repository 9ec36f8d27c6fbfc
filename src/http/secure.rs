//! The way to the secure page: where HTTPS is, how a browser is told to trust it, and who is sent
//! there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HOST, LOCATION};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::builtin::{self, Exposure};
use super::forwarded::ProxyInfo;
use super::peer::{LocalPort, Peer, Scheme};
use super::problem::Problem;
use super::state::HttpState;
use crate::tls::RootCertificate;

/// What is served by HTTP even so: the explanation, its look, and the certificate to trust.
const STAYS: [&str; 3] = ["/secure", "/secure/root.crt", "/login.css"];

/// The port that is left out of addresses.
const HTTPS_PORT: u16 = 443;

/// HTTPS, as far as whoever comes by HTTP is concerned.
#[derive(Clone)]
pub struct SecurePage {
    port: Arc<AtomicU16>,
    root: RootCertificate,
    is_self_made: Arc<dyn Fn() -> bool + Send + Sync>,
    redirects: bool,
}

impl SecurePage {
    /// `is_self_made` says whether browsers need `root` at the moment; `redirects`, whether who comes
    /// by HTTP is sent on to HTTPS.
    pub(crate) fn new(
        root: RootCertificate,
        is_self_made: impl Fn() -> bool + Send + Sync + 'static,
        redirects: bool,
    ) -> Self {
        Self { port: Arc::default(), root, is_self_made: Arc::new(is_self_made), redirects }
    }

    /// Tells where it is: nobody is sent there before.
    pub(crate) fn is_at(&self, port: u16) {
        self.port.store(port, Ordering::Relaxed);
    }

    /// Its port, once it is served.
    pub(super) fn port(&self) -> Option<u16> {
        Some(self.port.load(Ordering::Relaxed)).filter(|port| *port != 0)
    }

    /// The fingerprint of the certificate to trust, if there is one.
    pub(crate) fn fingerprint(&self) -> Option<&str> {
        (self.is_self_made)().then_some(&self.root.fingerprint)
    }
}

impl std::fmt::Debug for SecurePage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SecurePage").field(&self.port()).finish()
    }
}

/// Whether what is typed in answer to a request can be read on its way, although there is HTTPS.
pub(super) fn exposure(state: &HttpState, peer: Peer, proxy: &ProxyInfo) -> Exposure {
    let offered = state.settings.secure_page.as_ref().and_then(SecurePage::port).is_some();
    if offered && comes_in_the_clear(peer, proxy) { Exposure::Avoidable } else { Exposure::None }
}

/// Whether a request crosses a network unencrypted, as far as is known: how a proxy speaks with its
/// visitors is between them.
fn comes_in_the_clear(peer: Peer, proxy: &ProxyInfo) -> bool {
    let source = peer.source();
    let is_here = source.is_loopback() || peer.local == Some(source);
    peer.scheme == Scheme::Http && !is_here && !proxy.proxied
}

/// Whoever comes by HTTP is sent on to HTTPS, where that is asked for.
pub(super) async fn redirect(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    let Some(page) = state.settings.secure_page.as_ref().filter(|page| page.redirects) else {
        return next.run(request).await;
    };
    let extensions = request.extensions();
    let peer = extensions.get::<Peer>().copied().zip(extensions.get::<ProxyInfo>());
    let in_the_clear = peer.is_some_and(|(peer, proxy)| comes_in_the_clear(peer, proxy));
    let location = page.port().filter(|_| in_the_clear && !STAYS.contains(&request.uri().path()));
    let location = location
        .zip(authority(&request))
        .and_then(|(port, host)| https_uri(&host, port, request.uri()));
    match location {
        Some(location) => redirect_to(location),
        None => next.run(request).await,
    }
}

/// Answers whoever speaks plain HTTP where TLS is spoken.
pub(super) fn misdirected_service() -> Router {
    Router::new().fallback(async |request: Request| {
        let port = request.extensions().get::<LocalPort>().map(|port| port.0);
        let location = authority(&request)
            .zip(port)
            .and_then(|(host, port)| https_uri(&host, port, request.uri()));
        let detail = "this port speaks HTTPS: use https:// in the address";
        location.map_or_else(|| Problem::bad_request(detail).into_response(), redirect_to)
    })
}

/// 307 keeps method and body, and nobody remembers it longer than it holds (RFC 9110 §15.4.8).
fn redirect_to(location: HeaderValue) -> Response {
    let headers = [(LOCATION, location), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
}

fn authority(request: &Request) -> Option<Authority> {
    let mut lines = request.headers().get_all(HOST).iter();
    let host: Authority = lines.next()?.to_str().ok()?.parse().ok()?;
    (lines.next().is_none() && !host.as_str().contains('@')).then_some(host)
}

fn https_uri(host: &Authority, port: u16, target: &Uri) -> Option<HeaderValue> {
    let path = target.path_and_query().map_or("/", |path| path.as_str());
    HeaderValue::from_str(&format!("{}{path}", https_origin(host.host(), port))).ok()
}

fn https_origin(host: &str, port: u16) -> String {
    match port {
        HTTPS_PORT => format!("https://{host}"),
        port => format!("https://{host}:{port}"),
    }
}

/// `GET /secure`: what the secure page is for, and how a browser is told to trust it.
pub(super) async fn page(
    State(state): State<HttpState>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let Some((page, port)) =
        state.settings.secure_page.as_ref().and_then(|page| Some((page, page.port()?)))
    else {
        let detail = "this camera serves no HTTPS: set http.tls to \"auto\" in config.toml";
        return Problem::not_found(detail).into_response();
    };
    let host = authority(&request);
    let host = host.as_ref().map_or(state.settings.hostname.as_str(), Authority::host);
    let origin = https_origin(host, port);
    let name = (page.is_self_made)().then_some(page.root.name.as_str());
    let is_secure = peer.scheme == Scheme::Https;
    builtin::secure_page(is_secure, &origin, name, &page.root.fingerprint).into_response()
}

/// `GET /secure/root.crt`: the certificate to trust.
pub(super) async fn root(State(state): State<HttpState>) -> Result<Response, Problem> {
    let page = state.settings.secure_page.as_ref();
    let page = page.filter(|page| (page.is_self_made)()).ok_or_else(|| {
        Problem::not_found("this camera has no certificate of its own that could be trusted")
    })?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/x-x509-ca-cert")),
        (CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"picket.crt\"")),
    ];
    Ok((headers, page.root.der.clone()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secure_page_has_the_host_that_was_asked_for_and_a_port_of_its_own() {
        for (host, port, path, expected) in [
            ("porch.local", 443, "/a?b=c", "https://porch.local/a?b=c"),
            ("porch.local:8000", 8443, "/", "https://porch.local:8443/"),
            ("[fd00::7]:80", 443, "/", "https://[fd00::7]/"),
            ("192.168.1.7", 8443, "/whep", "https://192.168.1.7:8443/whep"),
        ] {
            let uri = https_uri(&host.parse().unwrap(), port, &path.parse().unwrap());
            assert_eq!(uri.unwrap(), expected);
        }
    }
}
