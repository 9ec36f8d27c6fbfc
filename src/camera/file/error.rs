//! Why a clip cannot be played, in words for its owner.

use super::index::{MAX_PICTURES, MAX_UNIT_BYTES};
use crate::decoder::DecoderError;
use crate::media::h264::BitstreamError;

/// What turns almost any clip into one that can be passed on as it is.
pub(super) const CONVERT: &str =
    "ffmpeg -i IN -an -vf yadif=deint=1,format=yuv420p -c:v libx264 -bf 0 -g 60 OUT.mp4";

/// Why a clip cannot be played. The messages come after the file's name.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// No bytes.
    #[error("the file is empty")]
    Empty,
    /// Neither MP4 nor an H.264 byte stream.
    #[error(
        "this is {0}, and a clip must be an MP4 or MOV file, or a raw H.264 stream (.h264); \
         to convert it: {CONVERT}"
    )]
    NotAClip(&'static str),
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
    #[error("its video is {0}, and only H.264 can be played; to convert it: {CONVERT}")]
    Codec(String),
    /// Interlaced H.264.
    #[error("its video is interlaced, which browsers do not play well; to convert it: {CONVERT}")]
    Interlaced,
    /// 4:2:2, 4:4:4, 10 bit…
    #[error(
        "its video is not 4:2:0 with 8 bits, the only kind browsers decode; to convert it: \
         {CONVERT}"
    )]
    Colour,
    /// Recovery points only.
    #[error(
        "it has no IDR picture, so no viewer could ever start watching (it was cut out of a \
         longer video, or uses intra refresh); to convert it: {CONVERT}"
    )]
    NoKeyPicture,
    /// B-frames, but nothing says when they are to be shown.
    #[error(
        "its pictures are coded in another order than they are shown in, and the file does not \
         say when each is to be shown; to convert it: {CONVERT}"
    )]
    NoShowingOrder,
    /// Not even one picture.
    #[error("there is not one whole picture in it")]
    NoPictures,
    /// Beyond what an index is kept for.
    #[error("it has more than {MAX_PICTURES} pictures; cut it into shorter clips")]
    TooLong,
    /// One picture beyond all reason.
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
    #[error("{0}; to convert it: {CONVERT}")]
    Decoder(#[from] DecoderError),
    /// The operating system.
    #[error("it cannot be read: {0}")]
    Io(#[from] std::io::Error),
}
