//! Ending what was opened with a credential that is no longer valid: a token that is no longer in
//! the configuration, a browser that has signed out, a password that was changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::authenticator::Authenticator;
use crate::webrtc::WebRtc;

/// How often sessions are checked when nothing has told of a change: sign-ins expire too, and a
/// client that was let in while its credential was revoked may have opened something since.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Ends WebRTC sessions whose holders may no longer watch, within seconds. Never returns.
pub async fn end_revoked_sessions(auth: Arc<Authenticator>, webrtc: Arc<WebRtc>) {
    let mut changes = auth.changes.subscribe();
    loop {
        // Whether it was told or has waited makes no difference.
        let _ = timeout(CHECK_EVERY, changes.changed()).await;
        let totals = webrtc.totals();
        if totals.connected + totals.connecting > 0 {
            let auth = Arc::clone(&auth);
            webrtc.retain(move |holder| auth.admits(holder)).await;
        }
    }
}
