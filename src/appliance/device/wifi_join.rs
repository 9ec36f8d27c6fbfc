//! The Wi-Fi network that the owner chose last, and whether it was joined.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::appliance::{JoinRequest, StewardClient, StewardError, StewardRequest};

/// A network that the owner chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WifiJoin {
    /// Its name.
    pub ssid: String,
    /// Whether it was joined.
    #[serde(flatten)]
    pub state: JoinState,
}

/// Whether a network was joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum JoinState {
    /// It is being joined.
    Joining,
    /// It was joined.
    Joined,
    /// It was not joined.
    Refused {
        /// Why.
        why: String,
    },
}

#[derive(Clone, Debug)]
pub(super) struct WifiJoiner {
    steward: StewardClient,
    last: Arc<Mutex<Option<WifiJoin>>>,
}

impl WifiJoiner {
    pub(super) fn new(steward: StewardClient) -> Self {
        Self { steward, last: Arc::default() }
    }

    pub(super) fn last(&self) -> Option<WifiJoin> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Joins a network, and remembers whether that worked: whoever chose it mostly loses the
    /// connection.
    pub(super) async fn join(&self, join: JoinRequest) -> Result<(), StewardError> {
        let (this, ssid) = (self.clone(), join.ssid.clone());
        let remember = move |state| {
            let join = WifiJoin { ssid: ssid.clone(), state };
            *this.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(join);
        };
        remember(JoinState::Joining);
        let steward = self.steward.clone();
        let asked = tokio::spawn(async move {
            let joined = steward.ask(&StewardRequest::Join(join)).await;
            remember(match &joined {
                Ok(_) => JoinState::Joined,
                Err(error) => JoinState::Refused { why: error.to_string() },
            });
            joined.map(drop)
        });
        asked.await.map_err(std::io::Error::other)?
    }
}
