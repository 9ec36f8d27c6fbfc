//! Whether the daemon's HTTP server responds.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How long it may take to respond.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Checks the server at this address.
#[derive(Clone, Copy, Debug)]
pub(in crate::steward) struct HealthCheck(pub(in crate::steward) SocketAddr);

impl HealthCheck {
    /// Asks for `/healthz`.
    pub(super) async fn passes(self) -> bool {
        let mut address = self.0;
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let request = tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .timeout_global(Some(TIMEOUT))
                .proxy(None)
                .build()
                .into();
            agent.get(format!("http://{address}/healthz")).call().is_ok()
        });
        request.await.unwrap_or(false)
    }
}
