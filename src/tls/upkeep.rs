//! Keeps the certificate current: for new names and addresses, for files that have changed, and in
//! time before it ends.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

#[cfg(feature = "acme")]
use super::acme::OrderSchedule;
use super::authority::{Authority, believable};
use super::certificate::Certificate;
use super::certificate_files::CertificateFiles;
use super::folder::Folder;
use super::names::OwnNames;
use super::shown::{Issuer, ShownCertificate};
use super::{TlsError, TlsTrouble};

/// Its files.
const CERTIFICATE: &str = "own.pem";
const KEY: &str = "own.key.pem";

/// How often it looks whether something has changed.
const LOOK: Duration = Duration::from_secs(3);

/// How long before its end an owner is told that nobody has renewed a certificate of theirs.
const WARN_BEFORE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Where a certificate of somebody else's comes from.
pub(super) enum Theirs {
    /// There is none.
    None,
    Files(CertificateFiles),
    #[cfg(feature = "acme")]
    Acme(OrderSchedule),
}

impl Theirs {
    /// What is there at the start, and what is the matter with it.
    fn begin(&mut self, now: SystemTime) -> (Option<Certificate>, Vec<TlsTrouble>) {
        match self {
            Self::None => (None, Vec::new()),
            Self::Files(files) => match files.read() {
                Ok(certificate) => {
                    let concerns = files.concerns(&certificate, now);
                    (Some(certificate), concerns.into_iter().map(TlsTrouble::Concern).collect())
                }
                Err(why) => (None, vec![TlsTrouble::Files(why)]),
            },
            #[cfg(feature = "acme")]
            Self::Acme(orders) => (orders.kept(), Vec::new()),
        }
    }

    /// Another one than the current, where there is.
    fn look(&mut self, current: Option<&Certificate>, now: SystemTime) -> Option<Certificate> {
        #[cfg(not(feature = "acme"))]
        let _ = current;
        match self {
            Self::None => None,
            Self::Files(files) => {
                if !files.have_changed() {
                    return None;
                }
                match files.read() {
                    Ok(certificate) => {
                        log::info!("the certificate has changed; it is shown from now on");
                        for concern in files.concerns(&certificate, now) {
                            log::warn!("http.tls: {concern}");
                        }
                        Some(certificate)
                    }
                    Err(why) => {
                        log::error!("http.tls: {why}; the one before is shown meanwhile");
                        None
                    }
                }
            }
            #[cfg(feature = "acme")]
            Self::Acme(orders) => orders.look(current, now),
        }
    }
}

/// Looks after the certificate.
pub(super) struct Upkeep {
    shown: Arc<ShownCertificate>,
    own: OwnCertificate,
    source: Theirs,
    /// The certificate from there, once it can be used.
    theirs: Option<Certificate>,
    /// Whether the owner was told that it ends.
    warned: bool,
}

impl Upkeep {
    /// Begins with what is there; the troubles are those with the owner's own certificate.
    pub(super) fn begin(
        authority: Authority,
        folder: Option<Folder>,
        names: OwnNames,
        mut source: Theirs,
        now: SystemTime,
    ) -> Result<(Self, Vec<TlsTrouble>), TlsError> {
        let own = OwnCertificate::begin(authority, folder, names, now)?;
        let (theirs, troubles) = source.begin(now);
        let shown = match &theirs {
            Some(theirs) => ShownCertificate::new(theirs, Issuer::Other),
            None => ShownCertificate::new(&own.certificate, Issuer::OwnAuthority),
        };
        let warned = theirs.as_ref().is_some_and(|theirs| theirs.has_ended(now));
        Ok((Self { shown: Arc::new(shown), own, source, theirs, warned }, troubles))
    }

    pub(super) fn shown(&self) -> Arc<ShownCertificate> {
        self.shown.clone()
    }

    /// Looks after it, without end.
    pub(super) async fn run(mut self) {
        loop {
            self.run_once(SystemTime::now());
            tokio::time::sleep(LOOK).await;
        }
    }

    fn run_once(&mut self, now: SystemTime) {
        if let Some(theirs) = self.source.look(self.theirs.as_ref(), now) {
            self.shown.replace(&theirs, Issuer::Other);
            self.warned = theirs.has_ended(now);
            self.theirs = Some(theirs);
        }
        if let Some(theirs) = &self.theirs {
            let left = theirs.not_after.duration_since(now).unwrap_or_default();
            if left < WARN_BEFORE && !self.warned {
                log::warn!(
                    "the certificate of http.tls {}: it was not renewed",
                    match left.as_secs() / 3600 {
                        0 => "is not valid any more".to_owned(),
                        hours => format!("is valid for {hours} hours more"),
                    }
                );
                self.warned = true;
            }
            return;
        }
        match self.own.renew_if_due(now) {
            Ok(true) => self.shown.replace(&self.own.certificate, Issuer::OwnAuthority),
            Ok(false) => {}
            Err(error) => log::error!("the device's own certificate was not renewed: {error}"),
        }
    }
}

/// The certificate of the device's own authority.
struct OwnCertificate {
    authority: Authority,
    folder: Option<Folder>,
    names: OwnNames,
    certificate: Certificate,
}

impl OwnCertificate {
    /// The one that was kept, if it is good, else a new one: a browser that was told to go on in
    /// spite of its warning remembers the certificate.
    fn begin(
        authority: Authority,
        folder: Option<Folder>,
        names: OwnNames,
        now: SystemTime,
    ) -> Result<Self, TlsError> {
        let kept = folder.as_ref().and_then(|folder| {
            let chain = folder.read(CERTIFICATE).ok()??;
            let certificate = Certificate::from_pem(&chain, &folder.read(KEY).ok()??).ok()?;
            authority.has_issued(&certificate).then_some(certificate)
        });
        if let Some(certificate) = kept {
            let mut own = Self { authority, folder, names, certificate };
            own.renew_if_due(now)?;
            return Ok(own);
        }
        let certificate = issue(&authority, folder.as_ref(), &names, now)?;
        Ok(Self { authority, folder, names, certificate })
    }

    /// Whether there is another now.
    fn renew_if_due(&mut self, now: SystemTime) -> Result<bool, TlsError> {
        let names = self.names.now();
        let certificate = &self.certificate;
        let covers = names.hosts.is_subset(&certificate.hosts)
            && names.addresses.is_subset(&certificate.addresses);
        if covers && !certificate.is_due(believable(now)) {
            return Ok(false);
        }
        self.certificate = issue(&self.authority, self.folder.as_ref(), &self.names, now)?;
        log::debug!("a new certificate was made for {names:?}");
        Ok(true)
    }
}

/// Issues a certificate and keeps it. One that cannot be kept is good until the next start.
fn issue(
    authority: &Authority,
    folder: Option<&Folder>,
    names: &OwnNames,
    now: SystemTime,
) -> Result<Certificate, TlsError> {
    let (chain, key) = authority.issue(&names.now(), now)?;
    if let Some(folder) = folder {
        let kept = folder.write(KEY, &key).and_then(|()| folder.write(CERTIFICATE, &chain));
        if let Err(why) = kept {
            log::warn!("the device's certificate is not kept: {why}");
        }
    }
    Certificate::from_pem(&chain, &key)
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

    #[test]
    fn a_clock_that_is_not_set_yet_makes_no_certificate_due_and_one_that_was_wrong_does() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::new(folder.path().join("tls"));
        let names = OwnNames {
            hostname: "porch".into(),
            other_name: watch::channel(None).1,
            hosts: Vec::new(),
        };
        let (authority, troubles) = Authority::open(Some(&folder), &names).unwrap();
        assert!(troubles.is_empty(), "{troubles:?}");
        let unset = SystemTime::UNIX_EPOCH + DAY;
        let mut own = OwnCertificate::begin(authority, Some(folder), names, unset).unwrap();
        // Nobody's clock that is right is before this.
        let today = SystemTime::UNIX_EPOCH + 56 * YEAR + 120 * DAY;
        assert!(own.certificate.not_before < today && today < own.certificate.not_after);
        for (now, renewed) in [
            (unset + DAY, false),
            (today, false),
            // It was the clock of another time.
            (today + 20 * YEAR, true),
            (today + 20 * YEAR + DAY, false),
            (today, true),
            (today, false),
        ] {
            assert_eq!(own.renew_if_due(now).unwrap(), renewed, "{now:?}");
        }
    }
}
