//! Downloads the manifest and the bundle, within limits of size and time.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::error::UpdateError;
use super::manifest::{UpdateManifest, privacy_of};
use crate::appliance::BundleSource;
use crate::web;

/// Most bytes of a manifest, which has a few hundred.
const MAX_MANIFEST: u64 = 64 * 1024;

/// For a manifest.
const MANIFEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Between two parts of a bundle.
const PART_TIMEOUT: Duration = Duration::from_secs(30);

/// Slower than this is not worth waiting for, in bytes a second.
const MIN_RATE: u64 = 16 * 1024;

/// Bytes of a part.
const PART: usize = 64 * 1024;

/// Most parts that wait for the steward to take them.
const MAX_QUEUED: usize = 4;

/// Downloads a manifest. Blocks.
pub(super) fn fetch_manifest(url: &str) -> Result<UpdateManifest, UpdateError> {
    let privacy = privacy_of(url).ok_or(UpdateError::Address)?;
    let mut response =
        web::agent(MANIFEST_TIMEOUT, privacy).get(url).call().map_err(download_error)?;
    let body = response
        .body_mut()
        .with_config()
        .limit(MAX_MANIFEST)
        .read_to_vec()
        .map_err(download_error)?;
    UpdateManifest::parse(&body, privacy)
}

/// A bundle that is being downloaded.
pub(super) struct Download(mpsc::Receiver<Result<Bytes, UpdateError>>);

impl Download {
    /// Starts the download. It ends when this is dropped.
    pub(super) fn start(manifest: UpdateManifest) -> Self {
        let (parts, received) = mpsc::channel(MAX_QUEUED);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = download(&manifest, &parts) {
                let _ = parts.blocking_send(Err(error));
            }
        });
        Self(received)
    }
}

impl BundleSource for Download {
    type Error = UpdateError;

    async fn part(&mut self) -> Result<Option<Bytes>, UpdateError> {
        match tokio::time::timeout(PART_TIMEOUT, self.0.recv()).await {
            Ok(part) => part.transpose(),
            Err(_) => Err(UpdateError::Stalled),
        }
    }
}

fn download(
    manifest: &UpdateManifest,
    parts: &mpsc::Sender<Result<Bytes, UpdateError>>,
) -> Result<(), UpdateError> {
    let timeout = MANIFEST_TIMEOUT + Duration::from_secs(manifest.size / MIN_RATE);
    let agent = web::agent(timeout, manifest.privacy);
    let mut response = agent.get(&manifest.url).call().map_err(download_error)?;
    if response.body().content_length().is_some_and(|length| length != manifest.size) {
        return Err(UpdateError::Size);
    }
    let mut body = response.body_mut().with_config().limit(manifest.size).reader();
    let mut buffer = vec![0; PART];
    loop {
        match body.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                if parts.blocking_send(Ok(Bytes::copy_from_slice(&buffer[..read]))).is_err() {
                    return Ok(());
                }
            }
            Err(error) => return Err(UpdateError::Transfer(error.to_string())),
        }
    }
}

/// What went wrong, without the address, which may hold a password.
fn download_error(error: ureq::Error) -> UpdateError {
    match error {
        ureq::Error::StatusCode(code) => UpdateError::Status(code),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::RequireHttpsOnly(_) => {
            UpdateError::Address
        }
        other => UpdateError::Transfer(other.to_string()),
    }
}
