//! HTTPS, as the configuration asks for it.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::watch;

use super::device::report_https;
use super::examine::unusable_certificate;
use super::http_parts::allowed_hosts;
use super::listen::{Listening, Wanted};
use super::sign_ins::data_folder;
use crate::appliance::{AlternativeName, HttpsStatus, StewardClient};
use crate::config::{Config, Places, Problem, ProblemKind, Tls as Asked};
use crate::http::{SecurePage, Service};
use crate::tls::{CertificateSource, OwnNames, Tls, TlsSettings, TlsTrouble};

/// The folder of keys and certificates in the data folder. It is hidden, because what is hidden is
/// never served, whichever folder the owner mounts.
const FOLDER: &str = ".tls";

/// What HTTPS needs.
pub(super) struct Https {
    config: Arc<ServerConfig>,
    pub(super) page: SecurePage,
    /// To be kept current.
    tls: Tls,
}

impl Https {
    /// Serves it, keeps its certificate current, and tells the steward of it. Where no port can be
    /// had, there is HTTP all the same; the problem says what is not as asked for.
    pub(super) async fn start(
        self,
        config: &Config,
        service: Service,
        steward: Option<&StewardClient>,
        places: &Places,
    ) -> (Option<Listening>, Option<Problem>) {
        let wanted = Wanted::secure(config, self.config);
        let key = wanted.key;
        let (listening, problem) = match Listening::start(wanted, service, places).await {
            Ok(started) => started,
            Err(why) => {
                let message = format!("there is no HTTPS: {why}");
                return (None, Some(places.problem(key, ProblemKind::Refused, &message)));
            }
        };
        let port = listening.address().port();
        self.page.is_at(port);
        if let Some(steward) = steward.cloned() {
            let fingerprint = self.page.fingerprint().map(str::to_owned);
            tokio::spawn(report_https(steward, HttpsStatus { port, fingerprint }));
        }
        tokio::spawn(self.tls.keep_current());
        (Some(listening), problem)
    }
}

/// Prepares HTTPS, if it is asked for; the problems say what is not as asked for.
pub(super) fn prepare(
    config: &Config,
    other_name: watch::Receiver<AlternativeName>,
    places: &Places,
) -> (Option<Https>, Vec<Problem>) {
    let source = match &config.http.tls {
        Asked::Off => return (None, Vec::new()),
        Asked::Auto => CertificateSource::OwnAuthority,
        Asked::Files { cert, key } => {
            CertificateSource::Files { chain: cert.clone(), key: key.clone() }
        }
        #[cfg(feature = "acme")]
        Asked::Acme(acme) => CertificateSource::Acme(acme.clone()),
        #[cfg(not(feature = "acme"))]
        Asked::Acme(_) => CertificateSource::OwnAuthority,
    };
    let problem = |message: &str| places.problem("http.tls", ProblemKind::Refused, message);
    let settings = TlsSettings {
        source,
        folder: data_folder(config).map(|folder| folder.join(FOLDER)),
        names: OwnNames {
            hostname: config.device.hostname.to_string(),
            other_name,
            hosts: allowed_hosts(config),
        },
    };
    let opened = Tls::open(settings).and_then(|(tls, troubles)| {
        let root = tls.root();
        log::info!(
            "HTTPS: the certificate to trust is \"{}\"; its SHA-256 fingerprint is {}",
            root.name,
            root.fingerprint
        );
        let page = SecurePage::new(root.clone(), tls.is_self_made(), config.http.redirect_to_https);
        Ok((Https { config: tls.server_config()?, page, tls }, troubles))
    });
    match opened {
        Ok((https, troubles)) => {
            let troubles = troubles.into_iter().map(|trouble| match trouble {
                TlsTrouble::Authority(why) => problem(&why),
                TlsTrouble::Files(why) => problem(&unusable_certificate(&why)),
                TlsTrouble::Concern(what) => {
                    places.problem("http.tls", ProblemKind::Warning, &what)
                }
            });
            (Some(https), troubles.collect())
        }
        Err(why) => (None, vec![problem(&format!("there is no HTTPS: {why}"))]),
    }
}
