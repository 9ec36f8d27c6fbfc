//! What a request is addressed to, and how its client sees that.

use axum::extract::Request;
use axum::http::Version;
use axum::http::header::HOST;
use axum::http::uri::Authority;

use super::origin::{HostMatch, RequestOrigin};
use crate::http::forwarded::ProxyInfo;
use crate::http::peer::{LocalPort, Peer, Scheme};
use crate::http::problem::Problem;

/// How whoever asks has come to us, which a proxy may hide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::http) struct TargetUri {
    /// By HTTPS, at least for the first part of the way.
    pub(in crate::http) secure: bool,
    /// The port in our address as they see it, or the one that we listen on where it names none.
    pub(in crate::http) port: Option<u16>,
    /// Whether a proxy has put another name in place of ours.
    pub(in crate::http) host_rewritten: bool,
    /// Whether the name under which we were asked for is one of ours.
    pub(in crate::http) host_known: bool,
}

impl TargetUri {
    pub(super) fn of(request: &Request, origin: &RequestOrigin) -> Self {
        let extensions = request.extensions();
        let https = extensions.get::<Peer>().is_some_and(|peer| peer.scheme == Scheme::Https);
        let page = match origin {
            RequestOrigin::SameOrigin(page) => Some(page),
            RequestOrigin::None | RequestOrigin::Allowed(_) => None,
        };
        let told = extensions.get::<ProxyInfo>().and_then(|p| p.host.as_ref()?.as_ref().ok());
        let host = || told.cloned().or_else(|| host(request).ok().flatten());
        Self {
            secure: https || page.is_some_and(|page| page.secure),
            port: page
                .and_then(|page| page.port)
                .or_else(|| host()?.port_u16())
                .or_else(|| local_port(request)),
            host_rewritten: page.is_some_and(|page| page.named != HostMatch::AsAddressed),
            host_known: page.is_none_or(|page| page.named != HostMatch::Unknown),
        }
    }
}

/// The name the request is addressed to (RFC 9112 §3.2): one `Host`, and the same in the target
/// where that holds one. Only HTTP/1.0, which no browser speaks, may come without.
pub(super) fn host(request: &Request) -> Result<Option<Authority>, Problem> {
    let malformed =
        || Problem::bad_request("expected one Host header with a name").close_connection();
    let mut lines = request.headers().get_all(HOST).iter();
    let host = match (lines.next(), lines.next()) {
        (None, _) if request.version() == Version::HTTP_10 => return Ok(None),
        (Some(host), None) => host,
        _ => return Err(malformed()),
    };
    let host: Authority = host.to_str().ok().and_then(|h| h.parse().ok()).ok_or_else(malformed)?;
    if host.as_str().contains('@') {
        return Err(malformed());
    }
    match request.uri().authority() {
        Some(target) if target != &host => Err(malformed()),
        _ => Ok(Some(host)),
    }
}

/// The port that the request came to.
pub(super) fn local_port(request: &Request) -> Option<u16> {
    request.extensions().get::<LocalPort>().map(|port| port.0)
}
