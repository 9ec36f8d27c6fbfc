//! The certificate that is shown to whoever connects now.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;

/// The certificate of the moment. It may be replaced while connections are made.
#[derive(Debug)]
pub(super) struct ShownCertificate(RwLock<Shown>);

#[derive(Debug)]
struct Shown {
    key: Arc<CertifiedKey>,
    self_made: bool,
}

/// Who vouches for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Issuer {
    /// The device itself.
    OwnAuthority,
    /// Somebody else.
    Other,
}

impl ShownCertificate {
    pub(super) fn new(certificate: &Certificate, issuer: Issuer) -> Self {
        Self(RwLock::new(Shown::of(certificate, issuer)))
    }

    pub(super) fn replace(&self, certificate: &Certificate, issuer: Issuer) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Shown::of(certificate, issuer);
    }

    pub(super) fn is_self_made(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).self_made
    }
}

impl Shown {
    fn of(certificate: &Certificate, issuer: Issuer) -> Self {
        Self { key: certificate.key(), self_made: issuer == Issuer::OwnAuthority }
    }
}

impl ResolvesServerCert for ShownCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).key.clone())
    }
}
