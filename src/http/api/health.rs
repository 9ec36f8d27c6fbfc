//! `/healthz`.

/// `GET /healthz`: alive, and nothing else.
pub(in crate::http) async fn get() -> &'static str {
    "ok\n"
}
