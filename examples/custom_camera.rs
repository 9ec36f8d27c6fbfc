//! A camera of your own: anything that can hand over pictures.
//!
//! `cargo run --release --example custom_camera`, then open the address it prints.
//!
//! This one draws plasma. Yours may read a sensor, a game, a window, an OpenCV capture: frames
//! may be I420, NV12, YUYV, RGB, BGR, RGBA, BGRA or gray, of any size.

use std::sync::Arc;
use std::time::Duration;

use picket::camera::{Camera, CameraError, Capture, Constraints, Mode};
use picket::media::{Frame, FramePool, MediaTime, PixelFormat};
use picket::{ConfigSource, Picket, start_logging};

struct Plasma {
    mode: Mode,
    next: MediaTime,
    number: u64,
    pool: FramePool,
}

impl Camera for Plasma {
    /// Called when the first viewer comes, and again if the camera was lost.
    fn open(&mut self, wanted: &Constraints) -> Result<Mode, CameraError> {
        // The wishes are the owner's `camera.width`, `height` and `fps`; take them or leave them.
        self.mode.fps = wanted.fps.unwrap_or(25.0);
        self.next = MediaTime::now();
        Ok(self.mode)
    }

    /// Called again and again, on a thread of its own: it may wait as long as it has to.
    fn capture(&mut self) -> Result<Capture, CameraError> {
        let now = MediaTime::now();
        std::thread::sleep(self.next.since(now));
        let time = self.next.max(now);
        self.next = time + Duration::from_secs_f64(1.0 / self.mode.fps);
        self.number += 1;

        let (width, height) = (self.mode.width, self.mode.height);
        // A pool gives the same memory again and again; a plain `Vec<u8>` would do as well.
        let mut pixels = self.pool.take(Frame::packed_len(PixelFormat::Bgr, (width, height)));
        let t = self.number as f32 / 20.0;
        for (i, bgr) in pixels.chunks_exact_mut(3).enumerate() {
            let (x, y) = ((i as u32 % width) as f32 / 90.0, (i as u32 / width) as f32 / 90.0);
            let wave = (x + t).sin() + (y - t / 2.0).cos() + ((x * x + y * y).sqrt() - t).sin();
            bgr[0] = (128.0 + 42.0 * wave) as u8;
            bgr[1] = (110.0 + 36.0 * (wave + t).sin()) as u8;
            bgr[2] = (120.0 - 40.0 * wave) as u8;
        }
        let pixels = Arc::new(pixels);
        Frame::packed(PixelFormat::Bgr, (width, height), pixels, time, self.number)
            .map(Capture::Frame)
            .map_err(|e| CameraError::Unsupported(e.to_string()))
    }

    /// Called when the last viewer has left: give the device back.
    fn stop(&mut self) {}
}

fn main() -> Result<(), picket::PicketError> {
    start_logging(log::LevelFilter::Info);
    // Settings come from the command line: `-- http.listen=0.0.0.0:8000`.
    let sets = std::env::args().skip(1).collect();
    let (config, problems) = ConfigSource { sets, ..ConfigSource::default() }.load(None);
    problems.iter().for_each(|problem| log::warn!("{problem}"));
    let camera = Plasma {
        mode: Mode { width: 640, height: 360, fps: 25.0 },
        next: MediaTime::now(),
        number: 0,
        pool: FramePool::new(),
    };
    let picket = Picket::builder(config).camera(camera).build()?;
    println!("watch at http://{}/", picket.address());
    picket.run();
    Ok(())
}
