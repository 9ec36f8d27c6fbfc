//! The HTTP client that rooms share, which network an address counts for, and whom a request's
//! credentials name.
//!
//! In come a timeout and whether TLS is required; out goes a client that is set up alike for the
//! site's files and for updates. `network` tells addresses apart for limits.

mod holder;
mod network;

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

pub use holder::Holder;
pub(crate) use network::{is_near, is_on_link, network_of};

pub(crate) const MAX_REDIRECTS: u32 = 5;

/// Whether what is fetched may come in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// It may: what comes is checked by other means.
    AsAddressed,
    /// By TLS only, redirects included.
    Encrypted,
}

/// A client that gives up after `timeout`, which is for the whole of a request: look-up, redirects
/// and body. Each has a connection of its own: one that is kept may have been closed by the server
/// just when an attempt is repeated, which would then fail as well.
pub(crate) fn agent(timeout: Duration, privacy: Privacy) -> Agent {
    agent_trusting(timeout, privacy, RootCerts::WebPki)
}

/// The same, trusting other certificate authorities than those of the web.
pub(crate) fn agent_trusting(timeout: Duration, privacy: Privacy, roots: RootCerts) -> Agent {
    // Named outright: without a provider the client would panic, and the process-wide default is
    // not for this place to set.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let tls =
        TlsConfig::builder().unversioned_rustls_crypto_provider(provider).root_certs(roots).build();
    Agent::config_builder()
        .timeout_global(Some(timeout))
        .max_redirects(MAX_REDIRECTS)
        .max_idle_connections(0)
        .https_only(privacy == Privacy::Encrypted)
        .user_agent(concat!("picket/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .new_agent()
}
