//! Fetching what is announced, and the bundle itself, within bounds of size and time.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::UpdateError;
use super::announcement::{Announcement, privacy_of};
use crate::appliance::Bundle;
use crate::web;

/// An announcement has a few hundred bytes.
const LONGEST: u64 = 64 * 1024;

/// For an announcement.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two parts of a bundle.
const STALL: Duration = Duration::from_secs(30);

/// Slower than this is not worth waiting for, in bytes a second.
const SLOWEST: u64 = 16 * 1024;

const PART: usize = 64 * 1024;

/// Parts that wait for the steward to take them.
const AHEAD: usize = 4;

/// Fetches an announcement. Blocks.
pub(super) fn announcement(url: &str) -> Result<Announcement, UpdateError> {
    let privacy = privacy_of(url).ok_or(UpdateError::Address)?;
    let mut response = web::agent(PATIENCE, privacy).get(url).call().map_err(why)?;
    let body = response.body_mut().with_config().limit(LONGEST).read_to_vec().map_err(why)?;
    Announcement::read(&body, privacy)
}

/// A bundle that is being fetched.
pub(super) struct Download(mpsc::Receiver<Result<Bytes, UpdateError>>);

impl Download {
    /// Begins to fetch. Ends when it is dropped.
    pub(super) fn begin(announced: Announcement) -> Self {
        let (parts, received) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = fetch(&announced, &parts) {
                let _ = parts.blocking_send(Err(error));
            }
        });
        Self(received)
    }
}

impl Bundle for Download {
    type Error = UpdateError;

    async fn part(&mut self) -> Result<Option<Bytes>, UpdateError> {
        match tokio::time::timeout(STALL, self.0.recv()).await {
            Ok(part) => part.transpose(),
            Err(_) => Err(UpdateError::Stalled),
        }
    }
}

fn fetch(
    announced: &Announcement,
    parts: &mpsc::Sender<Result<Bytes, UpdateError>>,
) -> Result<(), UpdateError> {
    let timeout = PATIENCE + Duration::from_secs(announced.size / SLOWEST);
    let agent = web::agent(timeout, announced.privacy);
    let mut response = agent.get(&announced.url).call().map_err(why)?;
    if response.body().content_length().is_some_and(|length| length != announced.size) {
        return Err(UpdateError::Size);
    }
    let mut body = response.body_mut().with_config().limit(announced.size).reader();
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
fn why(error: ureq::Error) -> UpdateError {
    match error {
        ureq::Error::StatusCode(code) => UpdateError::Status(code),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::RequireHttpsOnly(_) => {
            UpdateError::Address
        }
        other => UpdateError::Transfer(other.to_string()),
    }
}
