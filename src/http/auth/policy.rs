//! Who may sign in, as the configuration says.

use super::sign_in_sessions::SecretHash;
use crate::config::{Auth as AuthConfig, Credentials, Password};

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Policy {
    Unset,
    Set { password: Option<Password>, tokens: Vec<SecretHash> },
    Locked,
}

impl Policy {
    pub(super) fn new(setting: &AuthConfig) -> Self {
        match setting {
            AuthConfig::Unset => Self::Unset,
            AuthConfig::Set(Credentials { password, tokens }) => Self::Set {
                password: password.clone(),
                tokens: tokens.iter().map(|t| SecretHash::of(t.expose())).collect(),
            },
            AuthConfig::Locked { why } => {
                log::error!("nobody can sign in: {why}");
                Self::Locked
            }
        }
    }

    pub(super) fn password(&self) -> Option<&Password> {
        match self {
            Self::Set { password, .. } => password.as_ref(),
            Self::Unset | Self::Locked => None,
        }
    }

    /// What sessions are bound to: with another, they are worth nothing.
    pub(super) fn session_key(&self) -> &str {
        match self.password() {
            Some(Password::Plain(secret)) => secret.expose(),
            Some(Password::Hash(hash)) => hash.expose(),
            None => "",
        }
    }
}
