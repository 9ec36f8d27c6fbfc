//! What type of file it is, by its first bytes. The name does not count: a camera's `.mp4` may be a raw
//! stream, and a converted one may still be called `.avi`.

use super::{annexb, mp4};
use crate::media::h264::nal_ranges;

/// A type of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileType {
    /// MP4 or MOV.
    Mp4,
    /// A raw H.264 stream.
    ByteStream,
    /// No bytes at all.
    Empty,
    /// Video of another kind, by name.
    OtherVideo(&'static str),
    /// Something else, by name.
    Other(&'static str),
}

/// What a file that begins with `head` is.
pub(super) fn detect(head: &[u8]) -> FileType {
    if head.is_empty() {
        return FileType::Empty;
    }
    if mp4::is_mp4(head) {
        return FileType::Mp4;
    }
    if annexb::is_byte_stream(head) {
        return other_stream(head).map_or(FileType::ByteStream, FileType::OtherVideo);
    }
    name_of(head)
}

/// Start codes are no proof of H.264: MPEG-1 and -2 (ISO/IEC 13818-1 table 2-22, 13818-2 table
/// 6-1) and H.265 (§7.4.2.2, parameter sets and delimiter) have the same.
fn other_stream(head: &[u8]) -> Option<&'static str> {
    let first = nal_ranges(head).next().map(|r| &head[r])?;
    match first {
        [0xba | 0xbb, ..] => Some("an MPEG program stream"),
        [0xb3, ..] => Some("MPEG-1 or MPEG-2 video"),
        [0x40 | 0x42 | 0x46, 0x01, ..] => Some("a raw H.265 stream"),
        _ => None,
    }
}

fn name_of(head: &[u8]) -> FileType {
    let is_text =
        !head.is_empty() && head.iter().all(|b| !b.is_ascii_control() || b.is_ascii_whitespace());
    match head {
        [0x1a, 0x45, 0xdf, 0xa3, ..] => FileType::OtherVideo("a Matroska or WebM file"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', ..] => {
            FileType::OtherVideo("an AVI file")
        }
        [b'F', b'L', b'V', ..] => FileType::OtherVideo("a Flash video"),
        [b'O', b'g', b'g', b'S', ..] => FileType::OtherVideo("an Ogg file"),
        [0x30, 0x26, 0xb2, 0x75, ..] => FileType::OtherVideo("a Windows Media file"),
        [b'G', b'I', b'F', b'8', ..] => FileType::OtherVideo("a GIF picture"),
        [0xff, 0xd8, 0xff, ..] => FileType::Other("a JPEG picture"),
        [0x89, b'P', b'N', b'G', ..] => FileType::Other("a PNG picture"),
        [b'P', b'K', 3, 4, ..] => FileType::Other("a ZIP archive"),
        [0x47, ..] if head.get(188).is_none_or(|&b| b == 0x47) => {
            FileType::OtherVideo("an MPEG transport stream")
        }
        // Of a Blu-ray or an AVCHD camera: each packet with four bytes of time before it.
        [_, _, _, _, 0x47, ..] if head.get(196) == Some(&0x47) => {
            FileType::OtherVideo("an MPEG transport stream")
        }
        _ if is_text => FileType::Other("text"),
        _ => FileType::Other("no kind of video that is known here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_content() {
        for (head, file_type) in [
            (&b"\0\0\0\x18ftypisom"[..], FileType::Mp4),
            (b"\0\0\0\x01\x67\x42", FileType::ByteStream),
            (b"\0\0\x01\x09\x10", FileType::ByteStream),
            (b"", FileType::Empty),
            (b"\0\0\x01\xba\x44", FileType::OtherVideo("an MPEG program stream")),
            (b"\0\0\0\x01\x40\x01\x0c", FileType::OtherVideo("a raw H.265 stream")),
            (b"\x1aE\xdf\xa3", FileType::OtherVideo("a Matroska or WebM file")),
            (b"RIFF\0\0\0\0AVI LIST", FileType::OtherVideo("an AVI file")),
            (b"[camera]\nsource", FileType::Other("text")),
            (b"\x7fELF\x02", FileType::Other("no kind of video that is known here")),
        ] {
            assert_eq!(detect(head), file_type, "{head:?}");
        }
    }
}
