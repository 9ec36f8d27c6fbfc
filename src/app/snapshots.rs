//! Still pictures: the newest key picture of the stream, decoded and written as JPEG.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jpeg_encoder::{ColorType, Encoder, EncodingError};

use crate::decoder::Decoder;
use crate::http::{NoPicture, Snapshotter};
use crate::hub::{Hub, Layer, Published};
use crate::media::{Frame, MediaTime};

/// A key picture no older than this is "now".
const FRESH: Duration = Duration::from_secs(1);

/// JPEG quality, 1 to 100.
const QUALITY: u8 = 85;

/// Takes still pictures from the hub, and keeps the last one for whoever asks next.
pub(super) struct Snapshots {
    hub: Hub,
    last: Arc<Mutex<Option<(u64, Bytes)>>>,
}

impl Snapshots {
    pub(super) fn new(hub: Hub) -> Self {
        Self { hub, last: Arc::default() }
    }

    /// The newest key picture, after making sure there is a fresh one. Being a viewer for that
    /// long starts the camera where it was off.
    async fn picture(&self) -> Result<Arc<Published>, NoPicture> {
        let _viewer = self.hub.join(Layer::Main);
        let mut arrivals = self.hub.arrivals();
        loop {
            if let Some(key) = self.hub.newest_key_picture(Layer::Main)
                && (MediaTime::now().since(key.at) < FRESH || !self.hub.makes_key_pictures())
            {
                return Ok(key);
            }
            self.hub.request_key_picture(Layer::Main);
            arrivals.next().await;
        }
    }
}

impl Snapshotter for Snapshots {
    fn jpeg(&self) -> Pin<Box<dyn Future<Output = Result<Bytes, NoPicture>> + Send + '_>> {
        Box::pin(async {
            let key = self.picture().await?;
            let last = self.last.clone();
            let made = tokio::task::spawn_blocking(move || {
                // Held meanwhile: ten who ask at once are given one picture made once.
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((sequence, jpeg)) = &*last
                    && *sequence == key.sequence
                {
                    return Ok(jpeg.clone());
                }
                let jpeg = develop(&key)?;
                *last = Some((key.sequence, jpeg.clone()));
                Ok(jpeg)
            });
            made.await.unwrap_or_else(|e| Err(NoPicture(e.to_string())))
        })
    }
}

fn develop(key: &Published) -> Result<Bytes, NoPicture> {
    let mut decoder = Decoder::new().map_err(|e| NoPicture(e.to_string()))?;
    let decoded = decoder.decode(&key.unit).map_err(|e| NoPicture(e.to_string()))?;
    // Outside baseline the decoder waits for more before it gives the first picture out.
    let frame = decoded.or_else(|| decoder.flush().into_iter().next());
    let frame = frame.ok_or_else(|| NoPicture("the key picture does not decode".into()))?;
    write_jpeg(&frame).map_err(|e| NoPicture(e.to_string()))
}

/// Writes an I420 picture as a baseline JPEG.
fn write_jpeg(frame: &Frame) -> Result<Bytes, EncodingError> {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        let luma = &frame.plane(0)[y * frame.stride(0)..][..width];
        let u = &frame.plane(1)[y / 2 * frame.stride(1)..][..width.div_ceil(2)];
        let v = &frame.plane(2)[y / 2 * frame.stride(2)..][..width.div_ceil(2)];
        for (x, luma) in luma.iter().enumerate() {
            pixels.extend_from_slice(&[full(*luma, 219), full(u[x / 2], 224), full(v[x / 2], 224)]);
        }
    }
    let mut jpeg = Vec::new();
    let side = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
    Encoder::new(&mut jpeg, QUALITY).encode(
        &pixels,
        side(width),
        side(height),
        ColorType::Ycbcr,
    )?;
    Ok(jpeg.into())
}

/// Video keeps to 16–235 (16–240 for colour, `range` wide); JPEG uses all 256 values
/// (JFIF 1.02 §"Conversion to and from RGB").
fn full(value: u8, range: i32) -> u8 {
    let (middle, value) = (if range == 219 { 16 } else { 128 }, i32::from(value));
    let (low, scaled) = (if range == 219 { 0 } else { 128 }, (value - middle) * 255);
    (low + (scaled + scaled.signum() * range / 2) / range).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn video_range_becomes_full_range() {
        assert_eq!([full(16, 219), full(235, 219), full(0, 219), full(255, 219)], [0, 255, 0, 255]);
        assert_eq!([full(128, 224), full(16, 224), full(240, 224)], [128, 0, 255]);
    }
}
