//! Fetching the archive of data-files: verified, bounded in time and size, tried again when the
//! network fails.

use std::thread;
use std::time::Duration;

use ureq::Agent;

use super::checksum::Checksum;
use crate::web::{self, MAX_REDIRECTS, Privacy};

/// The archive as it is transferred is at most this large.
const MAX_DOWNLOAD: u64 = 8 << 20;
/// How often an attempt that failed on the way is repeated.
const RETRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Why the archive could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    #[error(
        "site.download_sha256 is missing; give the SHA-256 of the archive, as sha256sum prints it"
    )]
    NoChecksum,
    #[error("site.download_sha256 is not a SHA-256; give 64 hexadecimal digits")]
    BadChecksum,
    #[error("site.download_url is not a usable http:// or https:// address: {0}")]
    BadUrl(String),
    #[error("the server answered with status {0}")]
    Status(u16),
    #[error("the server took longer than {0:?}")]
    Timeout(Duration),
    #[error("the archive is larger than {} MiB", MAX_DOWNLOAD >> 20)]
    TooLarge,
    #[error("there were more than {MAX_REDIRECTS} redirects")]
    TooManyRedirects,
    #[error("the archive's SHA-256 is {found}; site.download_sha256 expects {expected}")]
    WrongChecksum { expected: Checksum, found: Checksum },
    #[error("the transfer failed: {0}")]
    Transfer(String),
}

impl DownloadError {
    /// Whether another attempt may fare better.
    fn is_transient(&self) -> bool {
        match self {
            Self::Status(code) => matches!(code, 408 | 429 | 500..=599),
            Self::Timeout(_) | Self::Transfer(_) => true,
            _ => false,
        }
    }
}

/// How to download. Tests give a short timeout and a pause that returns at once.
pub(super) struct Downloader<'a> {
    /// For one whole attempt: look-up, redirects and body.
    pub(super) timeout: Duration,
    /// Waits before the next attempt.
    pub(super) pause: &'a dyn Fn(Duration),
}

impl Default for Downloader<'_> {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), pause: &thread::sleep }
    }
}

impl Downloader<'_> {
    /// Downloads `url` and verifies it against `sha256`, both as written in the settings.
    pub(super) fn fetch(&self, url: &str, sha256: Option<&str>) -> Result<Vec<u8>, DownloadError> {
        let expected: Checksum = sha256
            .ok_or(DownloadError::NoChecksum)?
            .parse()
            .map_err(|_| DownloadError::BadChecksum)?;
        let bytes = self.with_retries(|agent| self.attempt(agent, url))?;
        let found = Checksum::of(&bytes);
        if found == expected {
            Ok(bytes)
        } else {
            Err(DownloadError::WrongChecksum { expected, found })
        }
    }

    fn with_retries<T>(
        &self,
        attempt: impl Fn(&Agent) -> Result<T, DownloadError>,
    ) -> Result<T, DownloadError> {
        // In the clear, too: the checksum tells what came.
        let agent = web::agent(self.timeout, Privacy::AsAddressed);
        let mut pause = FIRST_PAUSE;
        for _ in 0..RETRIES {
            match attempt(&agent) {
                Err(error) if error.is_transient() => {
                    log::info!("site download: {error}; next attempt in {pause:?}");
                    (self.pause)(pause);
                    pause *= 2;
                }
                done => return done,
            }
        }
        attempt(&agent)
    }

    fn attempt(&self, agent: &Agent, url: &str) -> Result<Vec<u8>, DownloadError> {
        let translate = |error| self.translate(error);
        let mut response = agent.get(url).call().map_err(translate)?;
        let body = response.body_mut().with_config().limit(MAX_DOWNLOAD);
        body.read_to_vec().map_err(translate)
    }

    fn translate(&self, error: ureq::Error) -> DownloadError {
        match error {
            ureq::Error::StatusCode(code) => DownloadError::Status(code),
            ureq::Error::Timeout(_) => DownloadError::Timeout(self.timeout),
            ureq::Error::BodyExceedsLimit(_) => DownloadError::TooLarge,
            ureq::Error::TooManyRedirects => DownloadError::TooManyRedirects,
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                DownloadError::BadUrl(error.to_string())
            }
            other => DownloadError::Transfer(other.to_string()),
        }
    }
}
