//! Why a clip cannot be played, in words for its owner.

use std::path::Path;

use super::limits::{MAX_PICTURES, MAX_UNIT_BYTES};
use crate::decoder::DecoderError;
use crate::media::h264::BitstreamError;
use crate::transform::TransformError;

/// Why a clip cannot be played. The messages come after the file's name.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// No bytes.
    #[error("the file is empty")]
    Empty,
    /// Neither MP4 nor an H.264 byte stream.
    #[error("this is {0}, and a clip must be an MP4 or MOV file, or a raw H.264 stream (.h264)")]
    NotAClip(&'static str),
    /// Video, but neither.
    #[error("this is {0}, and a clip must be an MP4 or MOV file, or a raw H.264 stream (.h264)")]
    OtherVideo(&'static str),
    /// MP4 without `moov`.
    #[error(
        "the file ends before its index (moov): the copy or the recording was cut short, and \
         without the index nothing can be played; copy it again, or record to fragmented MP4"
    )]
    NoIndex,
    /// MP4 without a video track.
    #[error("there is no video in it, only {0}")]
    NoVideo(String),
    /// Video of another kind.
    #[error("its video is {0}, and only H.264 can be played")]
    Codec(String),
    /// Video that may be watched only with a key.
    #[error(
        "its video is encrypted (DRM), so that only the program it was bought for can play it; \
         use a clip without"
    )]
    Encrypted,
    /// Interlaced H.264.
    #[error("its video is interlaced, which browsers do not play well")]
    Interlaced,
    /// 4:2:2, 4:4:4, 10 bit…
    #[error("its video is not 4:2:0 with 8 bits, the only kind browsers decode")]
    ChromaFormat,
    /// Recovery points only.
    #[error(
        "it has no IDR picture, so no viewer could ever start watching (it was cut out of a \
         longer video, or uses intra refresh)"
    )]
    NoKeyFrame,
    /// B-frames, but nothing says when they are to be shown.
    #[error(
        "its pictures are coded in another order than they are shown in, and the file does not \
         say when each is to be shown"
    )]
    NoOutputOrder,
    /// A negative rate in the edit list.
    #[error("its edit list asks for it to be played backwards")]
    Backwards,
    /// Not even one picture.
    #[error("there is not one whole picture in it")]
    NoPictures,
    /// Longer than an index is kept for.
    #[error("it has more than {MAX_PICTURES} pictures; cut it into shorter clips")]
    TooLong,
    /// An access unit larger than any can be.
    #[error(
        "the picture at byte {0} is said to be larger than {limit} MiB; the file is damaged",
        limit = MAX_UNIT_BYTES >> 20
    )]
    UnitTooLarge(u64),
    /// The container contradicts itself.
    #[error("its index is damaged: {0}")]
    Damaged(&'static str),
    /// The H.264 in it is broken.
    #[error("its video is damaged: {0}")]
    Bitstream(#[from] BitstreamError),
    /// It cannot be decoded, where that was needed.
    #[error("{0}")]
    Decoder(#[from] DecoderError),
    /// Turning or stretching its pictures failed.
    #[error("{0}")]
    Transform(#[from] TransformError),
    /// The operating system.
    #[error("it cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

impl ClipError {
    /// Whether [`conversion_command`] makes a clip of it that can be played.
    pub(super) fn is_convertible(&self) -> bool {
        match self {
            Self::OtherVideo(_)
            | Self::Codec(_)
            | Self::Interlaced
            | Self::ChromaFormat
            | Self::NoKeyFrame
            | Self::NoOutputOrder
            | Self::Backwards
            | Self::Decoder(_) => true,
            Self::Empty
            | Self::NotAClip(_)
            | Self::NoIndex
            | Self::NoVideo(_)
            | Self::Encrypted
            | Self::NoPictures
            | Self::TooLong
            | Self::UnitTooLarge(_)
            | Self::Damaged(_)
            | Self::Bitstream(_)
            | Self::Transform(_)
            | Self::Io(_) => false,
        }
    }
}

/// The shell command that makes of a clip one that every viewer can be sent as it is: H.264
/// in the constrained baseline profile, upright, with square pixels, 4:2:0 with 8 bits, of even
/// size, progressive, and with a key frame every two seconds or so. Without B-frames, which that
/// profile has none of.
pub(super) fn conversion_command(clip: &Path) -> String {
    const FILTERS: &str =
        "yadif=deint=1,scale=trunc(iw*sar/2)*2:trunc(ih/2)*2,setsar=1,format=yuv420p";
    let stem = clip.file_stem().unwrap_or_default().to_string_lossy();
    let converted = clip.with_file_name(format!("{stem}-picket.mp4"));
    format!(
        "ffmpeg -i {} -an -vf \"{FILTERS}\" -c:v libx264 -profile:v baseline -g 60 {}",
        quoted(clip),
        quoted(&converted)
    )
}

/// As one word for a shell.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    // A name that begins with a dash would be taken for an option.
    let path = if path.starts_with('-') { format!("./{path}") } else { path.into_owned() };
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@%:".contains(c);
    if path.chars().all(plain) {
        return path;
    }
    format!("'{}'", path.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_to_a_shell() {
        for (name, word) in [
            ("clips/a-1.mp4", "clips/a-1.mp4"),
            ("my clip.mov", "'my clip.mov'"),
            ("it's $HOME;.mov", "'it'\\''s $HOME;.mov'"),
            ("-i.mp4", "./-i.mp4"),
        ] {
            assert_eq!(quoted(Path::new(name)), word);
        }
        let command = conversion_command(Path::new("/data/my clip.mov"));
        assert!(command.ends_with("'/data/my clip-picket.mp4'"), "{command}");
    }
}
