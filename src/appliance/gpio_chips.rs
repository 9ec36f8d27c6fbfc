//! The GPIO chips that the kernel knows, and what uses their lines, by the character devices
//! `/dev/gpiochip*` (linux/gpio.h). Reading this changes no line.

// Each unsafe block is one ioctl whose argument is a local variable of the type its request number
// was made from.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::ioctl::{Getter, Opcode, Updater, ioctl, opcode};

/// A GPIO chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpioChip {
    /// Its device: "gpiochip0".
    pub name: String,
    /// What its driver calls it: "pinctrl-bcm2711".
    pub label: String,
    /// Its lines, in the order of their numbers, from 0.
    pub lines: Vec<GpioLine>,
}

/// A line of a chip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpioLine {
    /// Its name in the device tree: "GPIO17". Empty for many.
    pub name: String,
    /// What uses it, by the name that it gives itself, which may be empty; `None` when it is free.
    pub user: Option<String>,
}

/// `struct gpiochip_info`.
#[repr(C)]
#[derive(Clone, Copy)]
struct ChipInfo {
    name: [u8; 32],
    label: [u8; 32],
    lines: u32,
}

/// `struct gpio_v2_line_info`.
#[repr(C)]
#[derive(Clone, Copy)]
struct LineInfo {
    name: [u8; 32],
    consumer: [u8; 32],
    offset: u32,
    attributes: u32,
    flags: u64,
    // `struct gpio_v2_line_attribute attrs[10]` and `padding[4]`, which are not used here.
    rest: [u64; 22],
}

const GROUP: u8 = 0xb4;
const GET_CHIP_INFO: Opcode = opcode::read::<ChipInfo>(GROUP, 1);
const GET_LINE_INFO: Opcode = opcode::read_write::<LineInfo>(GROUP, 5);

/// `GPIO_V2_LINE_FLAG_USED`.
const USED: u64 = 1;

/// No chip has more; a driver that claims so is not believed.
const MOST_LINES: u32 = 1024;

/// The chips of this machine that may be opened, in the order of their numbers.
#[must_use]
pub fn gpio_chips() -> Vec<GpioChip> {
    let number = |name: &str| name.strip_prefix("gpiochip")?.parse::<u32>().ok();
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let mut nodes: Vec<(u32, std::path::PathBuf)> = entries
        .filter_map(|entry| Some((number(entry.file_name().to_str()?)?, entry.path())))
        // An alias of one that exists under its own name, as a Pi 5 has it.
        .filter(|(_, path)| !path.is_symlink())
        .collect();
    nodes.sort();
    let read = |(_, path): (u32, std::path::PathBuf)| {
        read(&path).inspect_err(|error| log::debug!("{}: {error}", path.display())).ok()
    };
    nodes.into_iter().filter_map(read).collect()
}

fn read(path: &Path) -> io::Result<GpioChip> {
    let file = File::open(path)?;
    // SAFETY: the request writes one `ChipInfo`, which is plain bytes and numbers.
    let chip: ChipInfo = unsafe { ioctl(&file, Getter::<GET_CHIP_INFO, ChipInfo>::new())? };
    let lines = (0..chip.lines.min(MOST_LINES)).map(|offset| line(&file, offset)).collect();
    Ok(GpioChip { name: text(&chip.name), label: text(&chip.label), lines })
}

fn line(file: &File, offset: u32) -> GpioLine {
    let mut info = LineInfo {
        name: [0; 32],
        consumer: [0; 32],
        offset,
        attributes: 0,
        flags: 0,
        rest: [0; 22],
    };
    // SAFETY: the request reads and writes one `LineInfo`, which is plain bytes and numbers.
    let read = unsafe { ioctl(file, Updater::<GET_LINE_INFO, LineInfo>::new(&mut info)) };
    match read {
        Ok(()) => GpioLine {
            name: text(&info.name),
            user: (info.flags & USED != 0).then(|| text(&info.consumer)),
        },
        Err(_) => GpioLine::default(),
    }
}

/// Text up to its first zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_are_as_long_as_the_kernel_s() {
        // Their length is part of the request's number (asm-generic/ioctl.h).
        assert_eq!(size_of::<ChipInfo>(), 68);
        assert_eq!(size_of::<LineInfo>(), 256);
    }

    #[test]
    fn what_is_no_chip_is_refused() {
        assert!(read(Path::new("/dev/null")).is_err());
        assert!(read(Path::new("/dev/gpiochip99999")).is_err());
    }

    #[test]
    fn a_name_that_fills_its_field_is_read_whole() {
        assert_eq!(text(&[b'x'; 32]), "x".repeat(32));
        assert_eq!(text(b"GPIO17\0rest"), "GPIO17");
    }
}
