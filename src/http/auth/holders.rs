//! Whose it is what goes on after its request: a session, a row of pictures.
//!
//! It ends with the credential by which it was had: the token that is no longer in the
//! configuration, the browser that has signed out, the password that is another now.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{Auth, Policy};
use crate::rtc::{Holder, Rtc};

/// How often it is looked whether somebody may still watch, where nothing has told of a change:
/// time ends sessions too, and who was let in while a credential was withdrawn may have opened
/// something since.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// This machine itself, while there is no password.
pub(super) const THIS_MACHINE: Holder = Holder::owner([0; 16]);

impl Auth {
    /// Whether what `holder` has may go on.
    pub fn admits(&self, holder: &Holder) -> bool {
        let state = self.state();
        match &state.policy {
            Policy::Locked => false,
            Policy::Unset => *holder == THIS_MACHINE,
            Policy::Set { tokens, .. } => {
                state.sessions.has(holder.credential(), self.now())
                    || tokens.iter().any(|token| token.number() == *holder.credential())
            }
        }
    }
}

/// Ends sessions whose holders may no longer watch, within seconds. Goes on for ever.
pub async fn end_withdrawn(auth: Arc<Auth>, rtc: Arc<Rtc>) {
    let mut changes = auth.changes.subscribe();
    loop {
        // Either will do.
        let _ = timeout(LOOK_EVERY, changes.changed()).await;
        let totals = rtc.totals();
        if totals.connected + totals.connecting > 0 {
            let auth = Arc::clone(&auth);
            rtc.retain(move |holder| auth.admits(holder)).await;
        }
    }
}
