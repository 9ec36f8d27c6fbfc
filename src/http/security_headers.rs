//! What every answer says to browsers about how far to trust it.

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::middleware::Next;
use axum::response::Response;

use super::cross_origin::embed;
use super::settings::HttpSettings;
use super::state::HttpState;

/// Pages run scripts of this camera's own files only. Who shows them inside another page is added.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob: data:; frame-src 'self'; media-src 'self' blob: mediastream:; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors ";

/// The policy for a page that this camera's own grid shows in a frame, and its older form.
pub(super) fn tile_policy(settings: &HttpSettings) -> [HeaderValue; 2] {
    let others = embed::frame_ancestors(settings).replace("'none'", "");
    let policy = HeaderValue::try_from(format!("{CONTENT_POLICY}'self' {others}"));
    let none = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    [policy.unwrap_or(none), HeaderValue::from_static("SAMEORIGIN")]
}

const FIXED_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // Not "no-referrer": with that, browsers send our own forms with "Origin: null" (WHATWG Fetch,
    // "append a request `Origin` header").
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=()"),
    ),
];

/// Sets what the answer has not set itself: a library user's route may know better.
pub(super) async fn set(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let settings = &state.settings;
    // Whether another site's page may show it (Fetch, "cross-origin resource policy check").
    let shown =
        if embed::allows_picture(settings, &request) { "cross-origin" } else { "same-origin" };
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in FIXED_HEADERS {
        headers.entry(name).or_insert(value);
    }
    let resource_policy = HeaderName::from_static("cross-origin-resource-policy");
    headers.entry(resource_policy).or_insert(HeaderValue::from_static(shown));
    let policy = CONTENT_POLICY.to_owned() + &embed::frame_ancestors(settings);
    let policy = HeaderValue::try_from(policy);
    let none = || HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(policy.unwrap_or_else(|_| none()));
    if let Some(frames) = embed::x_frame_options(settings) {
        headers.entry(X_FRAME_OPTIONS).or_insert(frames);
    }
    // A picture of a camera is nobody's to keep, unless said otherwise.
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(CACHE_CONTROL).or_insert(no_store);
    response
}
