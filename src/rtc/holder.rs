//! On whose behalf somebody asks for a session, or for a change of one.

use super::candidates::SignallingPath;

/// A credential that somebody has shown, as far as sessions are concerned: what they hold is theirs,
/// and ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holder {
    credential: [u8; 16],
    is_owner: bool,
}

impl Holder {
    /// The owner, who may change everybody's sessions. The number is that of the credential, of
    /// which the owner may have several.
    #[must_use]
    pub const fn owner(credential: [u8; 16]) -> Self {
        Self { credential, is_owner: true }
    }

    /// Somebody who may watch.
    #[must_use]
    pub const fn viewer(credential: [u8; 16]) -> Self {
        Self { credential, is_owner: false }
    }

    /// Whether what belongs to `other` may be seen, changed and ended.
    #[must_use]
    pub fn may_change(&self, other: &Self) -> bool {
        self.is_owner || self == other
    }

    /// The number of the credential.
    #[must_use]
    pub const fn credential(&self) -> &[u8; 16] {
        &self.credential
    }
}

/// Who makes an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// By which credential.
    pub holder: Holder,
    /// From where.
    pub path: SignallingPath,
}
