//! How long each step between camera and encoder takes for a 720p picture:
//! `cargo bench --bench transform_times`.

use std::sync::Arc;
use std::time::Instant;

use picket::media::{Frame, MediaTime, PixelFormat};
use picket::testing::transform::{Chain, OverlaySettings, Rotation, TransformSettings};
use picket::transform::Transform;

const SIZE: (u32, u32) = (1280, 720);
const ROUNDS: usize = 101;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for format in [
        PixelFormat::I420,
        PixelFormat::Nv12,
        PixelFormat::Yuyv,
        PixelFormat::Rgb,
        PixelFormat::Bgr,
        PixelFormat::Rgba,
        PixelFormat::Bgra,
        PixelFormat::Gray,
    ] {
        time(&format!("{format} to I420"), format, TransformSettings::default())?;
    }
    let settings = TransformSettings::default;
    for (name, settings) in [
        ("mirrored", TransformSettings { hflip: true, ..settings() }),
        ("turned by 90°", TransformSettings { rotation: Rotation::Clockwise90, ..settings() }),
        ("20 % smaller", TransformSettings { frame_size_reduction: 20, ..settings() }),
        (
            "name and time",
            TransformSettings {
                overlay: Some(OverlaySettings {
                    text: "Garden".to_owned(),
                    time_format: Some("%H:%M:%S".to_owned()),
                    ..OverlaySettings::default()
                }),
                ..settings()
            },
        ),
    ] {
        time(name, PixelFormat::I420, settings)?;
    }
    Ok(())
}

fn time(
    name: &str,
    format: PixelFormat,
    settings: TransformSettings,
) -> Result<(), Box<dyn std::error::Error>> {
    let bytes: Vec<u8> = (0..Frame::packed_len(format, SIZE)).map(|i| (i / 5) as u8).collect();
    let frame = Frame::packed(format, SIZE, Arc::new(bytes), MediaTime::now(), 0)?;
    let mut chain = Chain::new(settings)?;
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        chain.apply(frame.clone())?;
        times.push(start.elapsed());
    }
    times.sort();
    let copied = chain.copies().bytes() / ROUNDS as u64;
    println!("{name:16} {:>9.1?} {copied:>8} bytes copied", times[ROUNDS / 2]);
    Ok(())
}
