//! The step of each request that puts the client in place of the proxy.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::resolve::{ProxyInfo, resolve};
use crate::http::peer::Peer;
use crate::http::state::HttpState;

/// Finds out who a request is from, and how it came.
pub(in crate::http) async fn resolve_client(
    State(state): State<HttpState>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let (proxy, peer) = match peer {
        Some(peer) => {
            let (proxy, peer) = resolve(&state.settings.trusted_proxies, request.headers(), peer);
            (proxy, Some(peer))
        }
        None => (ProxyInfo::default(), None),
    };
    let extensions = request.extensions_mut();
    extensions.insert(proxy);
    if let Some(peer) = peer {
        extensions.insert(peer);
    }
    next.run(request).await
}
