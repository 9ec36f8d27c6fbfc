//! Asking the steward, the part of the image that runs as root, for what the daemon may not do
//! itself: keep a password, join a network, install an update, restart the device.
//!
//! Elsewhere than on the image there is no steward, and who asks is told so.

mod messages;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

pub use messages::{
    CameraReport, DeviceStatus, Join, Lease, LinkStatus, LongestLine, Outcome, Reply, Request,
    SeenNetwork, Slot, UpdateStatus, WifiStatus,
};

/// Where the steward listens.
pub const SOCKET: &str = "/run/picket/steward.sock";

/// The variable that tells the daemon where the steward listens.
pub const VARIABLE: &str = "PICKET_STEWARD";

/// How long most answers may take. Installing takes its own time, and is told step by step.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the steward did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StewardError {
    /// It did not want to, or could not; the text says why and what to do.
    #[error("{0}")]
    Refused(String),
    /// It could not be reached, or did not speak as expected.
    #[error("the device's steward does not answer ({0})")]
    Away(#[from] io::Error),
}

/// The way to the steward.
#[derive(Clone, Debug)]
pub struct Steward(PathBuf);

impl Steward {
    /// The steward at this socket.
    #[must_use]
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self(socket.into())
    }

    /// The one that started this process; `None` elsewhere than on the image.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        std::env::var_os(VARIABLE).map(Self::at)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When the steward refuses or cannot be reached.
    pub async fn ask(&self, request: &Request) -> Result<Reply, StewardError> {
        let asked = async { self.begin(request).await?.answer().await };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        }
    }

    /// Asks, for answers that come in several parts or requests that are followed by data.
    ///
    /// # Errors
    /// When the steward cannot be reached.
    pub async fn begin(&self, request: &Request) -> Result<Asked, StewardError> {
        let mut stream = UnixStream::connect(&self.0).await?;
        stream.write_all(&messages::line(request)?).await?;
        Ok(Asked(BufReader::new(stream)))
    }

    /// Asks from a thread without a runtime.
    ///
    /// # Errors
    /// When the steward refuses or cannot be reached.
    pub fn ask_blocking(&self, request: &Request) -> Result<Reply, StewardError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.ask(request))
    }
}

/// A question that is being answered.
#[derive(Debug)]
pub struct Asked(BufReader<UnixStream>);

impl Asked {
    /// Sends a part of the data that the request announced.
    ///
    /// # Errors
    /// When the steward has hung up; its [answer](Self::answer) says why.
    pub async fn send(&mut self, data: &[u8]) -> io::Result<()> {
        self.0.write_all(data).await
    }

    /// Waits for the next part of the answer.
    ///
    /// # Errors
    /// When it is a refusal, or none comes.
    pub async fn answer(&mut self) -> Result<Reply, StewardError> {
        let mut line = Vec::new();
        let mut limited = (&mut self.0).take(LongestLine::REPLY);
        limited.read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match serde_json::from_slice(&line).map_err(io::Error::other)? {
            Reply::Refused { why } => Err(StewardError::Refused(why)),
            reply => Ok(reply),
        }
    }
}
