//! What the device makes, and where it goes.

use bytes::Bytes;

use crate::media::MediaTime;

/// A picture as the device coded it.
#[derive(Clone, Debug)]
pub struct CodedPicture {
    /// The coded bytes.
    pub data: Bytes,
    /// When the picture was exposed.
    pub time: MediaTime,
}

/// Takes what the device codes, on the session's thread.
pub(super) type CodedSink = Box<dyn FnMut(CodedPicture) -> Result<(), String> + Send>;
