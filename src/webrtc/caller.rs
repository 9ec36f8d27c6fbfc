//! Who asks for a session.

use super::candidates::SignallingPath;
use crate::web::Holder;

/// Who makes an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// By which credential.
    pub holder: Holder,
    /// From where.
    pub path: SignallingPath,
}
