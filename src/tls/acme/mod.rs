//! Certificates by ACME (RFC 8555), with the challenge dns-01.
//!
//! A camera at home cannot be reached from the Internet, and need not be for this: whoever can put a
//! record into the DNS of a name has shown that it is theirs. [`Acme::order`] gets a certificate, once;
//! [`schedule`] says when.

mod client;
mod hook;
mod schedule;
mod update;

use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error as AcmeError,
    Identifier, LetsEncrypt, NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use super::certificate::Certificate;
use super::folder::Folder;
use crate::config::{Acme as Settings, DnsChallenge};
use client::HttpClient;
pub(super) use schedule::OrderSchedule;

/// Its files.
const ACCOUNT: &str = "acme-account.json";
const CHAIN: &str = "acme.pem";
const KEY: &str = "acme.key.pem";

/// How long the authority may take to look at the records, and to issue: some take minutes.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    /// The authority could not be reached, or did not answer as it should.
    #[error("{0}")]
    Unreachable(String),
    /// It refused, or a record could not be put into the DNS: asking again soon is of no use.
    #[error("{0}")]
    Refused(String),
}

impl From<AcmeError> for OrderError {
    fn from(error: AcmeError) -> Self {
        match error {
            AcmeError::Api(problem) => {
                let kind = problem.r#type.as_deref().unwrap_or_default();
                let why = format!("the authority refuses: {problem}");
                // Its own trouble, and what comes of it (RFC 8555 §6.7).
                let passing = ["badNonce", "serverInternal"].iter().any(|own| kind.ends_with(own));
                if passing { Self::Unreachable(why) } else { Self::Refused(why) }
            }
            error => Self::Unreachable(format!("the authority: {error}")),
        }
    }
}

/// A client of an authority.
#[derive(Debug, Clone)]
pub(super) struct Acme {
    settings: Settings,
    folder: Option<Folder>,
}

impl Acme {
    pub(super) fn new(settings: Settings, folder: Option<Folder>) -> Self {
        Self { settings, folder }
    }

    /// The certificate that was kept, if it stands for the names that are wanted now.
    pub(super) fn kept(&self) -> Option<Certificate> {
        let folder = self.folder.as_ref()?;
        let chain = folder.read(CHAIN).ok()??;
        let certificate = Certificate::from_pem(&chain, &folder.read(KEY).ok()??).ok()?;
        self.names().all(|name| certificate.hosts.contains(&name)).then_some(certificate)
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let names = self.settings.names.iter();
        names.map(|name| name.as_str().trim_end_matches('.').to_ascii_lowercase())
    }

    /// Gets a certificate, and keeps it.
    pub(super) async fn order(&self) -> Result<Certificate, OrderError> {
        let account = self.account().await?;
        let names: Vec<Identifier> = self.names().map(Identifier::Dns).collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await?;
        let mut records = Vec::new();
        let authorized = self.authorize(&mut order, &mut records).await;
        let issued = match authorized {
            Ok(()) => self.finish(&mut order).await,
            Err(why) => Err(why),
        };
        for record in records {
            if let Err(why) = self.change(Change::Remove, &record).await {
                log::warn!("the record {} stays in the DNS: {why}", record.name);
            }
        }
        issued
    }

    /// Shows that the names are the owner's.
    async fn authorize(
        &self,
        order: &mut instant_acme::Order,
        records: &mut Vec<TxtRecord>,
    ) -> Result<(), OrderError> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let name = authorization.identifier().to_string();
            let mut challenge = authorization.challenge(ChallengeType::Dns01).ok_or_else(|| {
                OrderError::Refused(format!("the authority offers no dns-01 for {name}"))
            })?;
            let value = challenge.key_authorization().dns_value();
            let record = TxtRecord { name: format!("_acme-challenge.{name}."), value };
            self.change(Change::Add, &record).await.map_err(OrderError::Refused)?;
            records.push(record);
            challenge.set_ready().await?;
        }
        Ok(())
    }

    async fn finish(&self, order: &mut instant_acme::Order) -> Result<Certificate, OrderError> {
        let retries = RetryPolicy::default().timeout(PATIENCE);
        if order.poll_ready(&retries).await? != OrderStatus::Ready {
            return Err(OrderError::Refused(
                "the authority has not found the record that shows whose the name is".into(),
            ));
        }
        let made = |error: rcgen::Error| OrderError::Refused(error.to_string());
        let key = KeyPair::generate().map_err(made)?;
        let names: Vec<String> = self.names().collect();
        let mut params = CertificateParams::new(names).map_err(made)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).map_err(made)?;
        order.finalize_csr(request.der()).await?;
        let chain = order.poll_certificate(&retries).await?;
        let key = super::pem::encode("PRIVATE KEY", key.serialized_der());
        let certificate = Certificate::from_pem(&chain, &key).map_err(|error| {
            OrderError::Refused(format!("the certificate is of no use: {error}"))
        })?;
        if let Some(folder) = &self.folder {
            let kept = folder.write(KEY, &key).and_then(|()| folder.write(CHAIN, &chain));
            if let Err(why) = kept {
                log::warn!("the certificate is not kept: {why}");
            }
        }
        Ok(certificate)
    }

    /// The account at the authority: the one that was kept, or a new one. One of another authority
    /// is none.
    async fn account(&self) -> Result<Account, OrderError> {
        let directory = match &self.settings.directory {
            Some(url) => url.expose().to_owned(),
            None => LetsEncrypt::Production.url().to_owned(),
        };
        let client = || HttpClient::new(self.settings.root.as_deref()).map_err(OrderError::Refused);
        if let Some(kept) = self.kept_account(&directory) {
            let builder = Account::builder_with_http(Box::new(client()?));
            match builder.from_credentials(kept).await {
                Ok(account) => return Ok(account),
                Err(error @ AcmeError::Api(_)) => log::warn!("the account is not used: {error}"),
                Err(error) => return Err(error.into()),
            }
        }
        let contact = self.settings.email.as_ref().map(|email| format!("mailto:{email}"));
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let account = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let builder = Account::builder_with_http(Box::new(client()?));
        let (account, credentials) = builder.create(&account, directory.clone(), None).await?;
        if let Some(folder) = &self.folder
            && let Ok(text) = serde_json::to_string(&KeptAccount { directory, credentials })
            && let Err(why) = folder.write(ACCOUNT, &text)
        {
            log::warn!("the account at the certificate authority is not kept: {why}");
        }
        Ok(account)
    }

    fn kept_account(&self, directory: &str) -> Option<AccountCredentials> {
        let text = self.folder.as_ref()?.read(ACCOUNT).ok()??;
        let kept: KeptAccount = serde_json::from_str(&text).ok()?;
        (kept.directory == directory).then_some(kept.credentials)
    }

    /// Puts a record into the DNS, or takes it out.
    async fn change(&self, change: Change, record: &TxtRecord) -> Result<(), String> {
        match &self.settings.challenge {
            DnsChallenge::Hook(program) => hook::run(program, change, record).await,
            DnsChallenge::Update { server, key } => update::send(server, key, change, record).await,
        }
    }
}

/// An account, and whose.
#[derive(serde::Serialize, serde::Deserialize)]
struct KeptAccount {
    directory: String,
    credentials: AccountCredentials,
}

/// A record in the DNS that shows whose a name is (RFC 8555 §8.4).
#[derive(Debug, Clone, PartialEq, Eq)]
struct TxtRecord {
    /// `_acme-challenge.NAME.`
    name: String,
    value: String,
}

/// What is to be done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Add,
    Remove,
}
