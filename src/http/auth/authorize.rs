//! Whether a request may use what it asks for.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;

use super::authenticator::{Authenticator, LOOPBACK_OWNER};
use super::cookies::{CookieKind, cookies};
use super::credentials::{UrlToken, header_token, is_browser};
use super::policy::Policy;
use super::refusal::{locked_out, too_far};
use crate::http::access::Access;
use crate::http::cross_origin::TargetUri;
use crate::http::forwarded::ProxyInfo;
use crate::http::peer::Peer;
use crate::http::problem::{Problem, Remedy};
use crate::web::is_near;
use crate::webrtc::Holder;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Principal {
    Owner(Holder),
    Viewer(Holder),
    Anonymous,
    /// Somebody near, while there is no password.
    MaySetUp,
    /// Somebody far away, while there is no password.
    TooFar,
    /// Anybody, while nobody can sign in.
    LockedOut,
}

impl Authenticator {
    fn principal(&self, request: &Request) -> Principal {
        let headers = request.headers();
        // Looked at before the lock is taken: it asks the kernel.
        let unset = self.state().policy == Policy::Unset;
        let near = unset && may_set_up(request);
        let state = self.state();
        let tokens = match &state.policy {
            Policy::Locked => return Principal::LockedOut,
            Policy::Unset if is_local(request) => return Principal::Owner(LOOPBACK_OWNER),
            Policy::Unset if near => return Principal::MaySetUp,
            Policy::Unset => return Principal::TooFar,
            Policy::Set { tokens, .. } => tokens,
        };
        let (session_key, now) = (state.policy.session_key(), self.now());
        let mut sessions = cookies(headers, CookieKind::Session);
        if let Some(id) = sessions.find_map(|(_, v)| state.sessions.find(v, session_key, now)) {
            return Principal::Owner(Holder::owner(id));
        }
        let in_url = request.extensions().get::<UrlToken>();
        let shown = [header_token(headers), in_url.map(|UrlToken(token)| token.clone())];
        let known = |shown: &String| tokens.iter().find(|token| token.matches(shown));
        match shown.iter().flatten().find_map(known) {
            Some(token) => Principal::Viewer(Holder::viewer(token.id())),
            None => Principal::Anonymous,
        }
    }
}

/// The challenge of HTTP Basic (RFC 7617 §2.1).
const BASIC: &str = "Basic realm=\"Picket\", charset=\"UTF-8\"";

/// Whether whoever sent `request` may use what `access` guards, and by which credential.
pub(in crate::http) fn authorize(
    auth: &Authenticator,
    access: Access,
    request: &Request,
) -> Result<Option<Holder>, Problem> {
    if access == Access::Open {
        return Ok(None);
    }
    match (auth.principal(request), access) {
        (Principal::Owner(holder), _)
        | (Principal::Viewer(holder), Access::Viewer | Access::Open) => Ok(Some(holder)),
        (Principal::Viewer(_), Access::Owner) => {
            let detail = "a token allows watching only; this is for the owner, who signs in";
            Err(Problem::new(StatusCode::FORBIDDEN, detail))
        }
        (Principal::Anonymous, _) => {
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "sign in, or send a token");
            let problem = problem.with_header(WWW_AUTHENTICATE, "Bearer").remedy(Remedy::SignIn);
            // A browser would ask for it in a window of its own, even for a script's request.
            Err(if is_browser(request.headers()) {
                problem
            } else {
                problem.with_header(WWW_AUTHENTICATE, BASIC)
            })
        }
        (Principal::MaySetUp, _) => {
            let detail = "no password has been set yet; open this address in a browser to set one";
            Err(Problem::new(StatusCode::FORBIDDEN, detail).remedy(Remedy::SetUp))
        }
        (Principal::TooFar, _) => Err(too_far()),
        (Principal::LockedOut, _) => Err(locked_out()),
    }
}

/// Whether whoever sent `request` may set the first password: whoever comes first does, so it must
/// not be somebody who finds the camera on the Internet.
fn may_set_up(request: &Request) -> bool {
    let extensions = request.extensions();
    let Some(peer) = extensions.get::<Peer>() else { return false };
    is_from_near(*peer, extensions.get::<ProxyInfo>().unwrap_or(&ProxyInfo::default()))
}

pub(in crate::http) fn is_from_near(peer: Peer, proxy: &ProxyInfo) -> bool {
    !proxy.client_unknown && is_near(peer.source())
}

/// Whether this machine's own program or browser sent it, as far as can be told.
pub(in crate::http) fn is_local(request: &Request) -> bool {
    let extensions = request.extensions();
    let proxied = extensions.get::<ProxyInfo>().is_some_and(|proxy| proxy.proxied);
    let host_rewritten = extensions.get::<TargetUri>().is_some_and(|target| target.host_rewritten);
    let local = extensions.get::<Peer>().is_some_and(|peer| peer.source().is_loopback());
    local && !proxied && !host_rewritten
}
