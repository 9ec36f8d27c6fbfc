//! The certificate by which browsers know this camera, and where it comes from.
//!
//! In come what `http.tls` asks for, the names and addresses that the device goes by, and a folder
//! to keep keys in; out goes the configuration of a TLS server that always shows the certificate of
//! the moment, and what a person must know to trust it. Whatever serves TLS takes it from here, so
//! that a device has one certificate. Nothing outside needs to know when it is renewed: [`upkeep`]
//! looks after it.

#[cfg(feature = "acme")]
mod acme;
mod authority;
mod certificate;
mod certificate_files;
mod folder;
mod names;
mod pem;
mod shown;
mod upkeep;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};

pub(crate) use authority::RootCertificate;
pub(crate) use names::OwnNames;

use authority::Authority;
use certificate_files::CertificateFiles;
use folder::Folder;
use shown::ShownCertificate;
use upkeep::{Theirs, Upkeep};

/// The one protocol that is spoken over it (RFC 7301).
const HTTP_1_1: &[u8] = b"http/1.1";

/// What the certificate is to be.
#[derive(Debug)]
pub(crate) struct TlsSettings {
    /// Where it comes from.
    pub(crate) source: CertificateSource,
    /// Where keys are kept; where there is no such folder, each start has another authority.
    pub(crate) folder: Option<PathBuf>,
    /// What the device goes by.
    pub(crate) names: OwnNames,
}

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CertificateSource {
    /// The device's own authority.
    OwnAuthority,
    /// PEM files, and the device's own authority while they cannot be used.
    Files {
        /// The chain, the device's own certificate first.
        chain: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// An authority of the world, by ACME, and the device's own until it has issued one.
    #[cfg(feature = "acme")]
    Acme(Box<crate::config::Acme>),
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// The cryptographic library refused.
    #[error("no certificate can be made: {0}")]
    Make(String),
    /// A certificate or key cannot be read.
    #[error("{0}")]
    Read(String),
}

/// What is not as asked for, in words for the owner.
#[derive(Debug)]
pub(crate) enum TlsTrouble {
    /// Of the device's own authority.
    Authority(String),
    /// Of the owner's own certificate, which cannot be used.
    Files(String),
    /// Of the owner's own certificate, which is used all the same.
    Concern(String),
}

/// Whether a certificate of the owner's own can be used, and what the owner should know of it then.
///
/// # Errors
/// When it cannot; the text names the files.
pub(crate) fn check_files(chain: &Path, key: &Path) -> Result<Vec<String>, String> {
    let mut files = CertificateFiles::new(chain.to_owned(), key.to_owned());
    let certificate = files.read()?;
    Ok(files.concerns(&certificate, SystemTime::now()))
}

impl From<rcgen::Error> for TlsError {
    fn from(error: rcgen::Error) -> Self {
        Self::Make(error.to_string())
    }
}

/// The certificate of this camera, as long as the program runs.
pub(crate) struct Tls {
    shown: Arc<ShownCertificate>,
    root: RootCertificate,
    upkeep: Upkeep,
}

impl Tls {
    /// Makes or reads what is needed to serve TLS.
    ///
    /// # Errors
    /// When the system gives no random numbers, or the cryptographic library refuses.
    pub(crate) fn open(settings: TlsSettings) -> Result<(Self, Vec<TlsTrouble>), TlsError> {
        let now = SystemTime::now();
        let folder = settings.folder.map(Folder::new);
        let (authority, troubles) = Authority::open(folder.as_ref(), &settings.names)?;
        let mut troubles: Vec<_> = troubles.into_iter().map(TlsTrouble::Authority).collect();
        let root = authority.root().clone();
        let theirs = match settings.source {
            CertificateSource::OwnAuthority => Theirs::None,
            CertificateSource::Files { chain, key } => {
                Theirs::Files(CertificateFiles::new(chain, key))
            }
            #[cfg(feature = "acme")]
            CertificateSource::Acme(settings) => {
                let acme = acme::Acme::new(*settings, folder.clone());
                Theirs::Acme(acme::OrderSchedule::new(acme))
            }
        };
        let (upkeep, of_theirs) = Upkeep::begin(authority, folder, settings.names, theirs, now)?;
        troubles.extend(of_theirs);
        Ok((Self { shown: upkeep.shown(), root, upkeep }, troubles))
    }

    /// What a TLS server is made of.
    ///
    /// # Errors
    /// When the cryptographic library lacks what TLS needs.
    pub(crate) fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| TlsError::Make(error.to_string()))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(self.shown.clone());
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(Arc::new(config))
    }

    /// What a browser must be told to trust, for as long as the device's own certificate is shown.
    pub(crate) fn root(&self) -> &RootCertificate {
        &self.root
    }

    /// Whether the certificate of the moment is from the device's own authority, which may change.
    pub(crate) fn is_self_made(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let shown = self.shown.clone();
        move || shown.is_self_made()
    }

    /// Keeps the certificate current, without end.
    pub(crate) async fn keep_current(self) {
        self.upkeep.run().await;
    }
}
