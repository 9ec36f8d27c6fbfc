//! A certificate with its chain and key, and what must be known of it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::TlsError;

/// Most certificates of a chain.
const MAX_CHAIN: usize = 10;

/// A certificate that can be shown.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    key: Arc<CertifiedKey>,
    /// The common name of who has issued it.
    pub(super) issuer: Option<String>,
    /// From when on it is valid.
    pub(super) not_before: SystemTime,
    /// Until when it is valid.
    pub(super) not_after: SystemTime,
    /// What it stands for (RFC 5280 §4.2.1.6): host names, in small letters.
    pub(super) hosts: BTreeSet<String>,
    /// Addresses.
    pub(super) addresses: BTreeSet<IpAddr>,
}

impl Certificate {
    /// Reads a chain and the key of its first certificate, both PEM (RFC 7468).
    ///
    /// # Errors
    /// When either cannot be read, or they do not belong together; the text says so.
    pub(super) fn from_pem(chain: &str, key: &str) -> Result<Self, TlsError> {
        let unreadable = |what: &str| TlsError::Read(what.to_owned());
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain.as_bytes())
            .take(MAX_CHAIN)
            .collect::<Result<_, _>>()
            .map_err(|error| TlsError::Read(format!("the certificate is no PEM: {error}")))?;
        let Some(first) = chain.first() else {
            return Err(unreadable("the first has no certificate (BEGIN CERTIFICATE) in it"));
        };
        let read = x509_cert::Certificate::from_der(first)
            .map_err(|error| TlsError::Read(format!("the certificate cannot be read: {error}")))?;
        let (not_before, not_after) = validity(&read);
        let (hosts, addresses) = subject_names(&read);
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| {
            unreadable(
                "the second has no private key (BEGIN PRIVATE KEY) in it, or one that is protected \
                 by a password",
            )
        })?;
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(
            |error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    unreadable("the private key is not that of the certificate")
                }
                error => TlsError::Read(format!("the key cannot be used: {error}")),
            },
        )?;
        let issuer = common_name_of(read.tbs_certificate().issuer());
        Ok(Self { key: Arc::new(key), issuer, not_before, not_after, hosts, addresses })
    }

    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        self.key.clone()
    }

    /// Whether two thirds of its time are over, or its time has not come: a device without a clock
    /// may have made it at another time than it thought.
    pub(super) fn is_due(&self, now: SystemTime) -> bool {
        now < self.not_before || now >= self.renewal()
    }

    /// Whether all of its time is over.
    pub(super) fn has_ended(&self, now: SystemTime) -> bool {
        now >= self.not_after
    }

    /// When two thirds of its time are over.
    pub(super) fn renewal(&self) -> SystemTime {
        let lifetime = self.not_after.duration_since(self.not_before).unwrap_or(Duration::ZERO);
        self.not_before + lifetime / 3 * 2
    }
}

fn validity(certificate: &x509_cert::Certificate) -> (SystemTime, SystemTime) {
    let validity = certificate.tbs_certificate().validity();
    (validity.not_before.to_system_time(), validity.not_after.to_system_time())
}

fn subject_names(certificate: &x509_cert::Certificate) -> (BTreeSet<String>, BTreeSet<IpAddr>) {
    let (mut hosts, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    let extension = certificate.tbs_certificate().get_extension::<SubjectAltName>();
    for name in extension.ok().flatten().map(|(_, names)| names.0).unwrap_or_default() {
        match name {
            GeneralName::DnsName(host) => {
                hosts.insert(host.as_str().to_ascii_lowercase());
            }
            GeneralName::IpAddress(address) => addresses.extend(read_address(address.as_bytes())),
            _ => {}
        }
    }
    (hosts, addresses)
}

/// The common name in a subject's or issuer's name.
pub(super) fn common_name_of(name: &x509_cert::name::Name) -> Option<String> {
    Some(name.common_name().ok()??.value().into_owned())
}

/// An address as certificates have it (RFC 5280 §4.2.1.6).
fn read_address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}
