//! Following a source whose pictures come coded, to have the newest of them raw.

use std::time::{Duration, Instant};

use crate::decoder::{Decoder, DecoderError};
use crate::hub::{Delivery, Published, Viewer};
use crate::media::{Frame, MediaTime};

/// A machine that decodes more slowly than pictures come would never be done: after so long, it shows
/// how far it has come.
const ENOUGH: Duration = Duration::from_millis(250);

/// Decodes every picture of the hub, because each builds on the one before.
pub(super) struct Follower {
    viewer: Viewer,
    decoder: Decoder,
}

impl Follower {
    pub(super) fn new(viewer: Viewer) -> Result<Self, DecoderError> {
        Ok(Self { viewer, decoder: Decoder::new()? })
    }

    /// Decodes what came since the last time; gives the newest of it.
    ///
    /// # Errors
    /// When the stream is of a kind that cannot be decoded.
    pub(super) fn catch_up(&mut self) -> Result<Option<Frame>, DecoderError> {
        let (mut newest, began) = (None, Instant::now());
        while newest.is_none() || began.elapsed() < ENOUGH {
            let published = match self.viewer.next(MediaTime::now()) {
                Delivery::Sample(published) | Delivery::Skipped(published) => published,
                Delivery::Nothing => break,
            };
            let Some(unit) = published.sample.video() else { continue };
            match self.decoder.decode(unit) {
                Ok(frame) => newest = frame.or(newest),
                // The next key frame repairs it.
                Err(DecoderError::Damaged(why)) => log::debug!("a still picture: {why}"),
                Err(error) => return Err(error),
            }
        }
        Ok(newest)
    }
}

/// A key frame, raw: it builds on none before.
///
/// # Errors
/// When it cannot be decoded.
pub(super) fn alone(key: &Published) -> Result<Option<Frame>, DecoderError> {
    let mut decoder = Decoder::new()?;
    let Some(unit) = key.sample.video() else { return Ok(None) };
    let decoded = decoder.decode(unit)?;
    // Outside baseline the decoder waits for more before it gives the first picture out.
    Ok(decoded.or_else(|| decoder.flush().into_iter().next()))
}
