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
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

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
    Away(io::Error),
}

impl From<io::Error> for StewardError {
    fn from(error: io::Error) -> Self {
        Self::Away(error)
    }
}

impl StewardError {
    /// An answer to another question.
    pub(in crate::appliance) fn unexpected() -> Self {
        io::Error::from(io::ErrorKind::InvalidData).into()
    }
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

    /// Asks how the device is.
    ///
    /// # Errors
    /// When the steward cannot be reached.
    pub async fn status(&self) -> Result<DeviceStatus, StewardError> {
        match self.ask(&Request::Status).await? {
            Reply::Status(status) => Ok(*status),
            _ => Err(StewardError::unexpected()),
        }
    }

    /// Asks, for answers that come in several parts or requests that are followed by data.
    ///
    /// # Errors
    /// When the steward cannot be reached.
    pub async fn begin(&self, request: &Request) -> Result<Asked, StewardError> {
        let (answers, data) = UnixStream::connect(&self.0).await?.into_split();
        let (mut data, answers) = (Data(data), Answers::new(answers));
        data.send(&messages::line(request)?).await?;
        Ok(Asked { data, answers })
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

/// A question that is being answered. Dropping it is hanging up.
#[derive(Debug)]
pub struct Asked {
    data: Data,
    answers: Answers,
}

impl Asked {
    /// Sends a part of the data that the request announced.
    ///
    /// # Errors
    /// When the steward has hung up; its [answer](Self::answer) says why.
    pub async fn send(&mut self, data: &[u8]) -> io::Result<()> {
        self.data.send(data).await
    }

    /// Waits for the next part of the answer.
    ///
    /// # Errors
    /// When it is a refusal, or none comes.
    pub async fn answer(&mut self) -> Result<Reply, StewardError> {
        self.answers.next().await
    }

    /// The two directions, for who sends and listens at the same time. Letting go of one of them
    /// leaves the other.
    #[must_use]
    pub fn split(self) -> (Data, Answers) {
        (self.data, self.answers)
    }
}

/// The data that a request announced, on its way to the steward.
#[derive(Debug)]
pub struct Data(OwnedWriteHalf);

impl Data {
    /// Sends a part of it.
    ///
    /// # Errors
    /// When the steward has hung up; its answer says why.
    pub async fn send(&mut self, data: &[u8]) -> io::Result<()> {
        self.0.write_all(data).await
    }
}

/// The steward's answers to a request.
#[derive(Debug)]
pub struct Answers {
    stream: BufReader<OwnedReadHalf>,
    /// What has come of the next one. It is kept here so that waiting for an answer can be given
    /// up and taken up again.
    line: Vec<u8>,
}

impl Answers {
    fn new(stream: OwnedReadHalf) -> Self {
        Self { stream: BufReader::new(stream), line: Vec::new() }
    }

    /// Waits for the next part of the answer. May be dropped and called again.
    ///
    /// # Errors
    /// When it is a refusal, or none comes.
    pub async fn next(&mut self) -> Result<Reply, StewardError> {
        let room = LongestLine::REPLY.saturating_sub(self.line.len() as u64);
        let mut limited = (&mut self.stream).take(room);
        limited.read_until(b'\n', &mut self.line).await?;
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match serde_json::from_slice(&line).map_err(io::Error::other)? {
            Reply::Refused { why } => Err(StewardError::Refused(why)),
            reply => Ok(reply),
        }
    }
}
