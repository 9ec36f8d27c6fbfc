//! A step of your own between camera and encoder: here, one that takes the colour away.
//!
//! `cargo run --release --example grayscale`, then open the address it prints.
//!
//! The same place serves for blurring faces, drawing detections, undistorting a lens.

use std::sync::Arc;

use picket::media::{Frame, FramePool, PixelFormat};
use picket::transform::{Transform, TransformError};
use picket::{ConfigSource, Picket, start_logging};

#[derive(Default)]
struct Grayscale {
    pool: FramePool,
}

impl Transform for Grayscale {
    fn apply(&mut self, frame: Frame) -> Result<Frame, TransformError> {
        // A frame's memory may be the camera's own, so a changed picture is a new one. Planes
        // have strides; the picture that goes out has none.
        let size = (frame.width(), frame.height());
        let brightness = match frame.format() {
            PixelFormat::I420 | PixelFormat::Nv12 | PixelFormat::Gray => frame.plane(0),
            other => {
                return Err(TransformError::Other(format!("no brightness plane in {other}")));
            }
        };
        let mut gray = self.pool.take(Frame::packed_len(PixelFormat::Gray, size));
        let rows = brightness.chunks(frame.stride(0));
        for (to, from) in gray.chunks_exact_mut(size.0 as usize).zip(rows) {
            to.copy_from_slice(&from[..to.len()]);
        }
        let (time, number) = (frame.time(), frame.sequence());
        Ok(Frame::packed(PixelFormat::Gray, size, Arc::new(gray), time, number)?)
    }
}

fn main() -> Result<(), picket::PicketError> {
    start_logging(log::LevelFilter::Info);
    // Settings come from the command line: `-- http.listen=0.0.0.0:8000`.
    let sets = std::env::args().skip(1).collect();
    let (config, problems) = ConfigSource { sets, ..ConfigSource::default() }.load(None);
    problems.iter().for_each(|problem| log::warn!("{problem}"));
    let picket = Picket::builder(config).transform(Grayscale::default()).build()?;
    println!("watch at http://{}/", picket.address());
    picket.run();
    Ok(())
}
