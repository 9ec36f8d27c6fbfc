//! The built-in test picture: colour bars, a bouncing square, a running clock and the frame
//! number, and the last two once more for machines.
//!
//! # The machine-readable strip
//! The bottom of the picture carries 80 cells in two rows of 40, each as wide as a fortieth of
//! the picture and as high as a thirtieth, white for 1 and black for 0, most significant bit
//! first:
//!
//! | bits | what |
//! |---|---|
//! | 8 | `0xA5`, so that a reader knows it found the strip |
//! | 48 | wall-clock time of the picture, milliseconds since 1970 |
//! | 16 | frame number, modulo 2¹⁶ |
//! | 8 | CRC-8 (polynomial 0x07) of the 9 bytes before |
//!
//! [`read_strip`] reads it back from a decoded picture, and so can a script in a browser: the
//! difference to its own clock is the delay from glass to glass.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Camera, CameraError, Capture, Constraints, Mode, nearest_mode};
use crate::media::{Frame, FramePool, MediaTime, PixelFormat, Plane};

/// The test picture. Makes 720p30 unless asked for something else.
#[derive(Default)]
pub struct TestPattern {
    open: Option<OpenPattern>,
    pool: FramePool,
}

struct OpenPattern {
    mode: Mode,
    canvas: Canvas,
    started: MediaTime,
    /// Number of the next frame; it is due `number / fps` after the start.
    number: u64,
}

const SIZES: [(u32, u32); 7] =
    [(1280, 720), (1920, 1080), (1024, 768), (854, 480), (640, 480), (640, 360), (320, 240)];
const RATES: [f64; 8] = [30.0, 60.0, 50.0, 25.0, 24.0, 15.0, 10.0, 5.0];

impl TestPattern {
    /// The test picture, not yet open.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Camera for TestPattern {
    fn open(&mut self, wanted: &Constraints) -> Result<Mode, CameraError> {
        let modes: Vec<Mode> = SIZES
            .into_iter()
            .flat_map(|(width, height)| RATES.map(|fps| Mode { width, height, fps }))
            .collect();
        let mode = nearest_mode(&modes, wanted).unwrap_or(modes[0]);
        self.open = Some(OpenPattern {
            mode,
            canvas: Canvas::new(mode.width as usize, mode.height as usize),
            started: MediaTime::now(),
            number: 0,
        });
        Ok(mode)
    }

    fn capture(&mut self) -> Result<Capture, CameraError> {
        let Some(open) = &mut self.open else {
            return Err(CameraError::Lost("the test picture is not open".into()));
        };
        let due =
            |number: u64| open.started + Duration::from_secs_f64(number as f64 / open.mode.fps);
        let now = MediaTime::now();
        // After a suspend or a stall, go on from now rather than rush to catch up.
        while due(open.number + 1) < now {
            open.number += 1;
        }
        let time = due(open.number);
        std::thread::sleep(time.since(now));
        let frame = open.canvas.draw(open.number, time, &self.pool)?;
        open.number += 1;
        Ok(Capture::Frame(frame))
    }

    fn stop(&mut self) {
        self.open = None;
    }
}

/// Colours as (Y, U, V), BT.709 limited range.
type Colour = (u8, u8, u8);
const WHITE: Colour = (235, 128, 128);
const BLACK: Colour = (16, 128, 128);
const INK: Colour = (222, 128, 128);
const AMBER: Colour = (160, 52, 172);
/// White, yellow, cyan, green, magenta, red, blue at 75 %.
const BARS: [Colour; 7] = [
    (180, 128, 128),
    (168, 44, 136),
    (145, 147, 44),
    (133, 63, 52),
    (63, 193, 204),
    (51, 109, 212),
    (28, 212, 120),
];

/// What does not move is drawn once; each frame is a copy of it with the moving parts on top.
struct Canvas {
    width: usize,
    height: usize,
    background: Vec<u8>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        let mut background =
            vec![0; Frame::packed_len(PixelFormat::I420, (width as u32, height as u32))];
        let mut planes = I420Planes::new(width, height, &mut background);
        for y in (0..height).step_by(2) {
            // A night-blue that brightens downwards.
            let shade = 24 + (y * 40 / height) as u8;
            planes.rect(0, y, width, 2, (shade, 140, 122));
        }
        let (bars_top, bars_height) = (height / 12, height / 4);
        for (i, colour) in BARS.into_iter().enumerate() {
            let (left, right) = (width * i / 7, width * (i + 1) / 7);
            planes.rect(left, bars_top, right - left, bars_height, colour);
        }
        // A grey ramp under the bars shows crushed blacks and blown whites.
        for step in 0..16 {
            let (left, right) = (width * step / 16, width * (step + 1) / 16);
            let grey = (16 + step * 219 / 15) as u8;
            planes.rect(left, bars_top + bars_height, right - left, height / 24, (grey, 128, 128));
        }
        Self { width, height, background }
    }

    fn draw(&self, number: u64, time: MediaTime, pool: &FramePool) -> Result<Frame, CameraError> {
        let (width, height) = (self.width, self.height);
        let mut buffer = pool.take(self.background.len());
        buffer.copy_from_slice(&self.background);
        let mut planes = I420Planes::new(width, height, &mut buffer);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();

        let digit = height / 8;
        let clock = clock_text(wall);
        planes.text(&clock, width / 2, height * 46 / 100, digit, INK);
        planes.text(&format!("{number:08}"), width / 2, height * 66 / 100, digit / 2, AMBER);

        let side = height / 12;
        let bounce = |speed: u64, range: usize| {
            let at = (number * speed) as usize % (2 * range).max(1);
            at.min(2 * range - at)
        };
        let floor = height * 78 / 100;
        planes.rect(
            bounce((width / 160).max(1) as u64, width - side),
            floor + bounce(1, (height * 14 / 100).saturating_sub(side).max(1)),
            side,
            side,
            AMBER,
        );

        for (i, bit) in strip_bits(wall, number).into_iter().enumerate() {
            let (column, row) = (i % CELLS_ACROSS, ROWS_DOWN - STRIP_ROWS + i / CELLS_ACROSS);
            let (x, y) = (width * column / CELLS_ACROSS, height * row / ROWS_DOWN);
            let (right, bottom) =
                (width * (column + 1) / CELLS_ACROSS, height * (row + 1) / ROWS_DOWN);
            let colour = if bit { WHITE } else { BLACK };
            planes.rect(x, y, right - x, bottom - y, colour);
        }
        let size = (width as u32, height as u32);
        Frame::packed(PixelFormat::I420, size, Arc::new(buffer), time, number)
            .map_err(|e| CameraError::Unsupported(e.to_string()))
    }
}

fn clock_text(wall: Duration) -> String {
    let seconds = wall.as_secs() % 86_400;
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{h:02}:{m:02}:{s:02}.{:03}", wall.subsec_millis())
}

const CELLS_ACROSS: usize = 40;
const ROWS_DOWN: usize = 30;
const STRIP_ROWS: usize = 2;
const STRIP_MARK: u8 = 0xa5;

fn strip_bits(wall: Duration, number: u64) -> Vec<bool> {
    let mut bytes = vec![STRIP_MARK];
    bytes.extend_from_slice(&(wall.as_millis() as u64).to_be_bytes()[2..]);
    bytes.extend_from_slice(&number.to_be_bytes()[6..]);
    bytes.push(crc8(&bytes));
    bytes.iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1 == 1)).collect()
}

/// Reads the strip of a test picture: wall-clock time since 1970 to the millisecond, and the
/// frame number modulo 2¹⁶. `luma` gives the brightness (0–255) at a point named as a fraction
/// of the width and of the height, so the picture may have been scaled on the way. `None` when
/// there is no strip or it is damaged.
#[cfg(any(test, feature = "testing"))]
pub fn read_strip(luma: impl Fn(f64, f64) -> u8) -> Option<(Duration, u32)> {
    let bit = |i: usize| {
        let (column, row) = (i % CELLS_ACROSS, i / CELLS_ACROSS);
        let x = (column as f64 + 0.5) / CELLS_ACROSS as f64;
        let y = 1.0 - (STRIP_ROWS as f64 - row as f64 - 0.5) / ROWS_DOWN as f64;
        luma(x, y) > 127
    };
    let bytes: Vec<u8> = (0..STRIP_ROWS * CELLS_ACROSS / 8)
        .map(|byte| (0..8).fold(0, |sum, i| sum << 1 | u8::from(bit(byte * 8 + i))))
        .collect();
    let (content, crc) = bytes.split_at(9);
    if content[0] != STRIP_MARK || crc[0] != crc8(content) {
        return None;
    }
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, b| sum << 8 | u64::from(*b));
    Some((Duration::from_millis(number(&content[1..7])), number(&content[7..9]) as u32))
}

fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |c, _| if c & 0x80 != 0 { c << 1 ^ 0x07 } else { c << 1 })
    })
}

/// An I420 picture being drawn.
struct I420Planes<'a> {
    width: usize,
    planes: [&'a mut [u8]; 3],
}

impl<'a> I420Planes<'a> {
    fn new(width: usize, height: usize, bytes: &'a mut [u8]) -> Self {
        let size = (width as u32, height as u32);
        let layout = Frame::packed_planes(PixelFormat::I420, size);
        let starts: Vec<usize> = layout.iter().map(|Plane { offset, .. }| *offset).collect();
        let (y, chroma) = bytes.split_at_mut(starts[1]);
        let (u, v) = chroma.split_at_mut(starts[2] - starts[1]);
        Self { width, planes: [y, u, v] }
    }

    /// Fills a rectangle; what lies outside the picture is left out.
    fn rect(&mut self, x: usize, y: usize, width: usize, height: usize, colour: Colour) {
        let right = (x + width).min(self.width);
        let values = [colour.0, colour.1, colour.2];
        let scales = [1, 2, 2];
        for ((bytes, value), scale) in self.planes.iter_mut().zip(values).zip(scales) {
            let stride = self.width.div_ceil(scale);
            let (left, right) = (x / scale, right.div_ceil(scale));
            let (top, bottom) = (y / scale, (y + height).div_ceil(scale));
            for row in bytes.chunks_exact_mut(stride).take(bottom).skip(top) {
                if left < right {
                    row[left..right].fill(value);
                }
            }
        }
    }

    /// Writes digits, colons and points as seven-segment figures, `height` high, centred on
    /// `centre`.
    fn text(&mut self, text: &str, centre: usize, top: usize, height: usize, colour: Colour) {
        let thick = (height / 8).max(2);
        let (digit, narrow) = (height / 2 + thick * 2, thick * 3);
        let wide = |c: char| if c.is_ascii_digit() { digit } else { narrow };
        let total: usize = text.chars().map(wide).sum();
        let mut x = centre.saturating_sub(total / 2);
        for c in text.chars() {
            let (w, half) = (height / 2, height / 2);
            if let Some(d) = c.to_digit(10) {
                for segment in (0..7).filter(|s| SEGMENTS[d as usize] >> s & 1 == 1) {
                    let (dx, dy, sw, sh) = match segment {
                        0 => (0, 0, w, thick),
                        1 => (w - thick, 0, thick, half),
                        2 => (w - thick, half, thick, half),
                        3 => (0, height - thick, w, thick),
                        4 => (0, half, thick, half),
                        5 => (0, 0, thick, half),
                        _ => (0, half - thick / 2, w, thick),
                    };
                    self.rect(x + dx, top + dy, sw, sh, colour);
                }
            } else {
                if c == ':' {
                    self.rect(x, top + height / 4, thick, thick, colour);
                }
                self.rect(x, top + height * 3 / 4, thick, thick, colour);
            }
            x += wide(c);
        }
    }
}

/// Which of the segments a–g (bits 0–6) each digit lights.
const SEGMENTS: [u8; 10] = [0x3f, 0x06, 0x5b, 0x4f, 0x66, 0x6d, 0x7d, 0x07, 0x7f, 0x6f];

#[cfg(test)]
mod tests {
    use super::*;

    fn shot(wanted: Constraints) -> (Mode, Frame) {
        let mut camera = TestPattern::new();
        let mode = camera.open(&wanted).unwrap();
        match camera.capture().unwrap() {
            Capture::Frame(frame) => (mode, frame),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_machine_reads_clock_and_frame_number_at_every_size() {
        for (width, height) in SIZES {
            let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let wanted = Constraints { width: Some(width), height: Some(height), fps: None };
            let (mode, frame) = shot(wanted);
            assert_eq!((mode.width, mode.height), (width, height));
            let (clock, number) = read_strip(|x, y| {
                let (x, y) = ((x * f64::from(width)) as usize, (y * f64::from(height)) as usize);
                frame.plane(0)[y * frame.stride(0) + x]
            })
            .unwrap_or_else(|| panic!("no strip at {width}×{height}"));
            assert_eq!(number, 0);
            assert!(clock.as_millis() >= before.as_millis());
        }
    }

    #[test]
    fn the_default_is_720p30() {
        let (mode, frame) = shot(Constraints::default());
        assert_eq!(mode, Mode { width: 1280, height: 720, fps: 30.0 });
        assert_eq!((frame.format(), frame.width(), frame.height()), (PixelFormat::I420, 1280, 720));
    }

    #[test]
    fn a_damaged_strip_is_not_believed() {
        let bits = strip_bits(Duration::from_millis(1_234_567_890_123), 77);
        let read = |flip: Option<usize>| {
            read_strip(|x, y| {
                let column = (x * CELLS_ACROSS as f64) as usize;
                let row = (y * ROWS_DOWN as f64) as usize - (ROWS_DOWN - STRIP_ROWS);
                let i = row * CELLS_ACROSS + column;
                if bits[i] != (flip == Some(i)) { 235 } else { 16 }
            })
        };
        assert_eq!(read(None), Some((Duration::from_millis(1_234_567_890_123), 77)));
        assert!((0..80).all(|i| read(Some(i)).is_none()));
    }
}
