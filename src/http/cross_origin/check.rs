//! Whether a request is one that a page of ours, a listed origin or no page at all sent.

use axum::extract::Request;
use axum::http::header::ORIGIN;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method, StatusCode};

use super::embed;
use super::origin::{HostMatch, Origin, OwnPage, RequestOrigin};
use super::target::{host, local_port};
use crate::http::forwarded::{MalformedHost, ProxyInfo};
use crate::http::own_names::is_own_name;
use crate::http::problem::Problem;
use crate::http::settings::HttpSettings;

pub(super) fn check_request(
    settings: &HttpSettings,
    request: &Request,
) -> Result<RequestOrigin, Problem> {
    let host = host(request)?;
    let told = request.extensions().get::<ProxyInfo>().and_then(|p| p.host.clone());
    let told = told.transpose().map_err(|MalformedHost| misdirected())?;
    let names: Vec<Authority> = host.into_iter().chain(told).collect();
    if names.iter().any(|name| !is_own_name(settings, name.host())) {
        return Err(misdirected());
    }
    let origin = request_origin(settings, request, &names)?;
    if origin == RequestOrigin::None
        && !fetch_metadata_allows(request)
        && !embed::allows_embedding(settings, request)
    {
        return Err(cross_origin());
    }
    Ok(origin)
}

fn misdirected() -> Problem {
    let detail = "this is not one of the camera's host names; add it to http.allowed_hosts";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, detail)
}

fn cross_origin() -> Problem {
    let detail = "requests made by other web sites are refused; list theirs in http.cors if it \
                  is to be trusted, or in http.allowed_hosts if it is a proxy's name for this \
                  camera";
    Problem::new(StatusCode::FORBIDDEN, detail)
}

/// Where a request comes from that is addressed to `names`: in `Host`, and to the proxy.
fn request_origin(
    settings: &HttpSettings,
    request: &Request,
    names: &[Authority],
) -> Result<RequestOrigin, Problem> {
    let mut lines = request.headers().get_all(ORIGIN).iter();
    let origin = match (lines.next(), lines.next()) {
        (None, _) => return Ok(RequestOrigin::None),
        (Some(origin), None) => origin,
        _ => return Err(cross_origin()),
    };
    let text = origin.to_str().map_err(|_| cross_origin())?;
    if settings.cors.iter().any(|listed| listed.eq_ignore_ascii_case(text)) {
        return Ok(RequestOrigin::Allowed(origin.clone()));
    }
    let origin = Origin::parse(text);
    match header(request, "sec-fetch-site") {
        Some(b"same-origin") => {
            // A page whose policy keeps its origin to itself says "null".
            let named = origin.as_ref().map_or(HostMatch::Unknown, |o| o.named(settings, names));
            let (secure, port) =
                origin.map_or((false, None), |o| (o.secure, o.authority.port_u16()));
            Ok(RequestOrigin::SameOrigin(OwnPage { secure, port, named }))
        }
        None | Some(b"none") => {
            let page = origin.and_then(|o| o.is_of(settings, names, local_port(request)));
            page.map(RequestOrigin::SameOrigin).ok_or_else(cross_origin)
        }
        Some(_) => Err(cross_origin()),
    }
}

/// Whether the browser, if it tells, made the request from a page of ours, or because the user
/// went there: following a link from elsewhere is no danger, embedding us elsewhere is
/// (W3C Fetch Metadata Request Headers).
fn fetch_metadata_allows(request: &Request) -> bool {
    let header = |name| header(request, name);
    match header("sec-fetch-site") {
        None | Some(b"same-origin" | b"none") => true,
        Some(_) => {
            header("sec-fetch-mode") == Some(b"navigate")
                && header("sec-fetch-dest") == Some(b"document")
                && matches!(*request.method(), Method::GET | Method::HEAD)
        }
    }
}

/// The value of a header that a browser sets itself.
fn header<'a>(request: &'a Request, name: &str) -> Option<&'a [u8]> {
    request.headers().get(name).map(HeaderValue::as_bytes)
}
