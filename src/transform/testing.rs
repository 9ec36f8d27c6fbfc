//! Pictures for the room's tests.

use std::sync::Arc;

use super::convert::MatrixCoefficients;
use super::orientation::Rotation;
use crate::media::{Frame, MediaTime, PixelFormat, Plane};

pub(super) const READABLE: [PixelFormat; 8] = [
    PixelFormat::I420,
    PixelFormat::Nv12,
    PixelFormat::Yuyv,
    PixelFormat::Rgb,
    PixelFormat::Bgr,
    PixelFormat::Rgba,
    PixelFormat::Bgra,
    PixelFormat::Gray,
];

pub(super) const ROTATIONS: [Rotation; 4] =
    [Rotation::None, Rotation::Clockwise90, Rotation::Clockwise180, Rotation::Clockwise270];

/// A frame whose plane rows hold `bytes(plane, x, y)`, `padding` bytes apart and `offset` bytes
/// into the memory; every byte that is none of the picture's is 0xEE, and the last row has no
/// padding.
pub(super) fn frame_of(
    format: PixelFormat,
    (width, height): (u32, u32),
    (padding, offset): (usize, usize),
    bytes: impl Fn(usize, usize, usize) -> u8,
) -> Frame {
    let mut memory = vec![0xEE; offset];
    let mut planes = Vec::new();
    for i in 0..format.planes() {
        let (row, rows) = format.plane_size(i, width, height).unwrap();
        let (offset, stride) = (memory.len(), row + padding);
        planes.push(Plane { offset, stride });
        for y in 0..rows {
            memory.extend((0..row).map(|x| bytes(i, x, y)));
            if y + 1 < rows {
                memory.extend(vec![0xEE; padding]);
            }
        }
    }
    let (time, sequence) = (MediaTime::from_nanos(42), 7);
    Frame::new(format, (width, height), &planes, Arc::new(memory), time, sequence).unwrap()
}

/// A frame that shows `scene`, red, green and blue from 0 to 255 at every pixel, in any format.
pub(super) fn frame_showing(
    format: PixelFormat,
    size: (u32, u32),
    spacing: (usize, usize),
    matrix: MatrixCoefficients,
    scene: impl Fn(usize, usize) -> [f32; 3],
) -> Frame {
    let ycbcr = |x, y| to_ycbcr(scene(x, y), matrix);
    // The mean over the pixels that share a chroma sample.
    let chroma = |x: usize, y: usize, (w, h): (usize, usize), channel: usize| {
        let pixels = (0..h).flat_map(|dy| (0..w).map(move |dx| (x * w + dx, y * h + dy)));
        let sum: f32 = pixels.map(|(x, y)| ycbcr(x, y)[channel]).sum();
        byte(sum / (w * h) as f32)
    };
    frame_of(format, size, spacing, |plane, x, y| match (format, plane) {
        (PixelFormat::I420 | PixelFormat::Nv12 | PixelFormat::Gray, 0) => byte(ycbcr(x, y)[0]),
        (PixelFormat::I420, plane) => chroma(x, y, (2, 2), plane),
        (PixelFormat::Nv12, _) => chroma(x / 2, y, (2, 2), 1 + x % 2),
        (PixelFormat::Yuyv, _) if x % 2 == 0 => byte(ycbcr(x / 2, y)[0]),
        (PixelFormat::Yuyv, _) => chroma(x / 4, y, (2, 1), 1 + x % 4 / 2),
        (PixelFormat::Rgb, _) => byte(scene(x / 3, y)[x % 3]),
        (PixelFormat::Bgr, _) => byte(scene(x / 3, y)[2 - x % 3]),
        (PixelFormat::Rgba | PixelFormat::Bgra, _) if x % 4 == 3 => 255,
        (PixelFormat::Rgba, _) => byte(scene(x / 4, y)[x % 4]),
        (PixelFormat::Bgra, _) => byte(scene(x / 4, y)[2 - x % 4]),
        (PixelFormat::Other(_), _) | (PixelFormat::Gray, _) => unreachable!(),
    })
}

fn byte(value: f32) -> u8 {
    value.round() as u8
}

/// Limited-range Y′CbCr by the definition (ITU-R BT.601 §2.5, BT.709 §3 and §4).
fn to_ycbcr([r, g, b]: [f32; 3], matrix: MatrixCoefficients) -> [f32; 3] {
    let (kr, kb) = match matrix {
        MatrixCoefficients::Bt601 => (0.299, 0.114),
        MatrixCoefficients::Bt709 => (0.2126, 0.0722),
    };
    let luma = (kr * r + (1.0 - kr - kb) * g + kb * b) / 255.0;
    [
        16.0 + 219.0 * luma,
        128.0 + 224.0 * (b / 255.0 - luma) / (2.0 * (1.0 - kb)),
        128.0 + 224.0 * (r / 255.0 - luma) / (2.0 * (1.0 - kr)),
    ]
}

/// The rows of a plane without their padding.
pub(super) fn rows(frame: &Frame, plane: usize) -> Vec<Vec<u8>> {
    let (row, _) = frame.format().plane_size(plane, frame.width(), frame.height()).unwrap();
    let lines = frame.plane(plane).chunks(frame.stride(plane));
    lines.map(|line| line[..row].to_vec()).collect()
}

/// All planes of an I420 frame, row by row.
pub(super) fn planes(frame: &Frame) -> [Vec<Vec<u8>>; 3] {
    assert_eq!(frame.format(), PixelFormat::I420);
    std::array::from_fn(|plane| rows(frame, plane))
}

/// The largest difference between two I420 pictures of the same size, for each plane.
pub(super) fn differences(a: &Frame, b: &Frame) -> [u8; 3] {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let (a, b) = (planes(a), planes(b));
    std::array::from_fn(|i| {
        let pairs = a[i].iter().flatten().zip(b[i].iter().flatten());
        pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
    })
}
