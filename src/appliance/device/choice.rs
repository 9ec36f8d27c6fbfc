//! The network that the owner chose last, and what became of it.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::appliance::{Join, Request, Steward, StewardError};

/// A network that the owner chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// Its name.
    pub ssid: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: ChoiceOutcome,
}

/// What became of a choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ChoiceOutcome {
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
pub(super) struct Choices {
    steward: Steward,
    last: Arc<Mutex<Option<Choice>>>,
}

impl Choices {
    pub(super) fn new(steward: Steward) -> Self {
        Self { steward, last: Arc::default() }
    }

    pub(super) fn last(&self) -> Option<Choice> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Joins a network, and remembers what became of it: who chose it is mostly cut off by that.
    pub(super) async fn join(&self, join: Join) -> Result<(), StewardError> {
        let (this, ssid) = (self.clone(), join.ssid.clone());
        let note = move |outcome| {
            let choice = Choice { ssid: ssid.clone(), outcome };
            *this.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(choice);
        };
        note(ChoiceOutcome::Joining);
        let steward = self.steward.clone();
        let asked = tokio::spawn(async move {
            let joined = steward.ask(&Request::Join(join)).await;
            note(match &joined {
                Ok(_) => ChoiceOutcome::Joined,
                Err(error) => ChoiceOutcome::Refused { why: error.to_string() },
            });
            joined.map(drop)
        });
        asked.await.map_err(std::io::Error::other)?
    }
}
