//! On whose behalf somebody asks for a session, or for a change of one.

/// A credential that somebody has shown, as far as sessions are concerned: what they hold is theirs,
/// and ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holder {
    credential: [u8; 16],
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    Viewer,
    Owner,
    Program,
}

impl Holder {
    /// The owner, who may change everybody's sessions. The number is that of the credential, of
    /// which the owner may have several.
    #[must_use]
    pub const fn owner(credential: [u8; 16]) -> Self {
        Self { credential, role: Role::Owner }
    }

    /// Somebody who may watch.
    #[must_use]
    pub const fn viewer(credential: [u8; 16]) -> Self {
        Self { credential, role: Role::Viewer }
    }

    /// The program that Picket is a part of, which vouches for those who watch by its own signalling. No
    /// sign-in made it a holder, and none that ends takes it from it. It may change everybody's
    /// sessions.
    #[must_use]
    pub const fn program() -> Self {
        Self { credential: [0; 16], role: Role::Program }
    }

    /// Whether it is the program.
    #[must_use]
    pub const fn is_program(&self) -> bool {
        matches!(self.role, Role::Program)
    }

    /// Whether what belongs to `other` may be seen, changed and ended.
    #[must_use]
    pub fn may_change(&self, other: &Self) -> bool {
        self.role != Role::Viewer || self == other
    }

    /// The number of the credential.
    #[must_use]
    pub const fn credential(&self) -> &[u8; 16] {
        &self.credential
    }
}
