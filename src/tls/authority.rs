//! The device's own certification authority: its root certificate, and what it issues.
//!
//! It is made at the first start and kept. Whoever trusts its root certificate is never warned of
//! this device again, however often its addresses change.

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_cert::der::Decode;
use x509_cert::spki::der::referenced::OwnedToRef;

use super::TlsError;
use super::certificate::{Certificate, common_name_of};
use super::folder::Folder;
use super::names::{Names, OwnNames, constraints};
use super::pem;

/// Its files.
const ROOT: &str = "root.pem";
const ROOT_KEY: &str = "root.key.pem";

/// Certificates of the device. Browsers of Apple take none from a private authority that is valid
/// for more than 825 days.
const LIFETIME: Duration = Duration::from_secs(820 * 24 * 3600);

/// How long before the device's own time a certificate becomes valid: others' clocks may be slow.
const BACKDATED: Duration = Duration::from_secs(7 * 24 * 3600);

/// A year in which no device is any more whose clock is right.
const FIRST_YEAR: i32 = 2026;

/// The authority outlives the device.
const LAST_YEAR: i32 = 2056;

/// What a browser must be told to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RootCertificate {
    /// The certificate, DER.
    pub(crate) der: Vec<u8>,
    /// Its name, as browsers show it.
    pub(crate) name: String,
    /// Its SHA-256 fingerprint, `AB:CD:…`, as browsers show it.
    pub(crate) fingerprint: String,
}

/// The device's own authority.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: RootCertificate,
}

impl Authority {
    /// The one that was kept, else a new one, which is kept. The texts say what is the matter with
    /// either.
    pub(super) fn open(
        folder: Option<&Folder>,
        names: &OwnNames,
    ) -> Result<(Self, Vec<String>), TlsError> {
        let Some(folder) = folder else {
            return Ok((Self::create(names)?.0, Vec::new()));
        };
        let mut troubles = Vec::new();
        match Self::read(folder) {
            Ok(Some(authority)) => return Ok((authority, troubles)),
            Ok(None) => {}
            // It may be whole, and is what browsers trust.
            Err(Unusable::Unreadable(why)) => {
                troubles.push(format!(
                    "the device's own certificate authority cannot be read ({why}); until the next \
                     start there is another one, which browsers do not trust"
                ));
                return Ok((Self::create(names)?.0, troubles));
            }
            Err(Unusable::Damaged(why)) => troubles.push(format!(
                "the device's own certificate authority cannot be used ({why}); a new one is made, \
                 which browsers must be told to trust"
            )),
        }
        let (authority, key) = Self::create(names)?;
        // A root without its key is none: the key is there first.
        let kept = folder
            .write(ROOT_KEY, &key)
            .and_then(|()| folder.write(ROOT, &pem::encode("CERTIFICATE", &authority.root.der)));
        if let Err(why) = kept {
            troubles.push(format!(
                "the device's own certificate authority cannot be kept ({why}): browsers must be \
                 told to trust another after each start"
            ));
        }
        Ok((authority, troubles))
    }

    pub(super) fn root(&self) -> &RootCertificate {
        &self.root
    }

    /// Issues a certificate for these names, with a key of its own; both PEM.
    pub(super) fn issue(
        &self,
        names: &Names,
        now: SystemTime,
    ) -> Result<(String, String), TlsError> {
        let not_before = believable(now) - BACKDATED;
        let mut params = CertificateParams::default();
        params.not_before = not_before.into();
        params.not_after = (not_before + LIFETIME).into();
        params.distinguished_name = common_name(names.hosts.first().map_or("", String::as_str));
        for host in &names.hosts {
            params.subject_alt_names.push(SanType::DnsName(host.as_str().try_into()?));
        }
        let addresses = names.addresses.iter().map(|address| SanType::IpAddress(*address));
        params.subject_alt_names.extend(addresses);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((
            pem::encode("CERTIFICATE", certificate.der()),
            pem::encode("PRIVATE KEY", key.serialized_der()),
        ))
    }

    /// Whether it has issued this one.
    pub(super) fn has_issued(&self, certificate: &Certificate) -> bool {
        // The name holds a part of the key's hash.
        certificate.issuer.as_deref() == Some(&self.root.name)
    }

    fn create(names: &OwnNames) -> Result<(Self, String), TlsError> {
        let key = KeyPair::generate()?;
        // Two devices of one name, or one that was reset, are told apart by it.
        let id: String =
            digest(&SHA256, key.public_key_raw()).as_ref()[..3].iter().map(hex).collect();
        let name = format!("Picket camera {} ({id})", names.hostname);
        let params = root_params(&name);
        let der = params.self_signed(&key)?.der().to_vec();
        let key_pem = pem::encode("PRIVATE KEY", key.serialized_der());
        let root = RootCertificate { fingerprint: fingerprint(&der), der, name };
        Ok((Self { issuer: Issuer::new(params, key), root }, key_pem))
    }

    fn read(folder: &Folder) -> Result<Option<Self>, Unusable> {
        let read = |name| folder.read(name).map_err(Unusable::Unreadable);
        let (Some(root), Some(key)) = (read(ROOT)?, read(ROOT_KEY)?) else {
            return Ok(None);
        };
        Self::parse(&root, &key).map(Some).map_err(Unusable::Damaged)
    }

    /// From certificate and key, both PEM.
    fn parse(root: &str, key: &str) -> Result<Self, String> {
        let der = CertificateDer::from_pem_slice(root.as_bytes())
            .map_err(|error| format!("{ROOT}: {error}"))?;
        let read =
            x509_cert::Certificate::from_der(&der).map_err(|error| format!("{ROOT}: {error}"))?;
        let name = common_name_of(read.tbs_certificate().subject())
            .ok_or_else(|| format!("{ROOT} has no name"))?;
        let key_der = rustls::pki_types::PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| format!("{ROOT_KEY}: {error}"))?;
        let key = KeyPair::try_from(key_der.secret_pkcs8_der())
            .map_err(|error| format!("{ROOT_KEY}: {error}"))?;
        let spki = read.tbs_certificate().subject_public_key_info().owned_to_ref();
        if spki.subject_public_key.raw_bytes() != key.public_key_raw() {
            return Err(format!("{ROOT_KEY} is not the key of {ROOT}"));
        }
        let der = der.to_vec();
        let root = RootCertificate { fingerprint: fingerprint(&der), der, name };
        Ok(Self { issuer: Issuer::new(root_params(&root.name), key), root })
    }
}

/// Why an authority that was kept is of no use.
enum Unusable {
    /// Something prevents that it is read.
    Unreadable(String),
    /// It was read, and is none.
    Damaged(String),
}

/// The time, as far as it can be: a clock that shows an earlier year is not set yet, and says nothing
/// of when a certificate is due.
pub(super) fn believable(now: SystemTime) -> SystemTime {
    now.max(date_time_ymd(FIRST_YEAR, 1, 1).into())
}

fn root_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(FIRST_YEAR, 1, 1);
    params.not_after = date_time_ymd(LAST_YEAR, 1, 1);
    params.distinguished_name = common_name(name);
    // It issues for devices, and makes no other authority.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(constraints());
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn hex(byte: &u8) -> String {
    format!("{byte:02X}")
}

fn fingerprint(der: &[u8]) -> String {
    digest(&SHA256, der).as_ref().iter().map(hex).collect::<Vec<_>>().join(":")
}
