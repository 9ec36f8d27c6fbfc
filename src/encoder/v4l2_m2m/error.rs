//! Why the device did not do as asked.

use std::fmt;

/// Why the device did not do as asked.
#[derive(Debug)]
pub(super) enum DeviceError {
    /// It cannot read frames where they are; it may still take copies.
    Import(String),
    /// A call failed.
    Call(&'static str, std::io::Error),
    /// A coded picture was larger than its buffer.
    Overflow,
    /// It cannot do what is needed.
    Unsupported(String),
    /// It no longer works.
    Stuck(String),
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Import(why) => write!(f, "it imports no pictures: {why}"),
            Self::Call(what, error) => write!(f, "{what}: {error}"),
            Self::Overflow => write!(f, "it coded a picture that is larger than its buffers"),
            Self::Unsupported(why) => write!(f, "{why}"),
            Self::Stuck(why) => write!(f, "it is stuck: {why}"),
        }
    }
}

/// For the result of a call: names what was being done when it failed.
pub(super) trait During<T> {
    fn during(self, what: &'static str) -> Result<T, DeviceError>;
}

impl<T> During<T> for std::io::Result<T> {
    fn during(self, what: &'static str) -> Result<T, DeviceError> {
        self.map_err(|error| DeviceError::Call(what, error))
    }
}

pub(super) fn no_such_buffer() -> DeviceError {
    DeviceError::Unsupported("it named a buffer that it does not have".into())
}
