//! The client of the steward, the part of the image that runs as root: it does what the daemon may
//! not do itself, such as keep a password, join a network, install an update, restart the device.
//!
//! In come requests of the daemon, out go the steward's replies, over its control socket. Without
//! the image there is no steward.

mod messages;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

pub use messages::{
    CameraReport, DeviceStatus, HttpsStatus, JoinRequest, LineLimit, SeenNetwork, StewardReply,
    StewardRequest, UpdateOutcome, UpdateStatus,
};

#[cfg(feature = "steward")]
pub use messages::{BootSlot, DhcpLease, LinkStatus, WifiStatus};

/// The steward's control socket.
#[cfg(feature = "steward")]
pub const CONTROL_SOCKET: &str = "/run/picket/steward.sock";

/// The environment variable that names the control socket.
pub const STEWARD_VARIABLE: &str = "PICKET_STEWARD";

/// How long most replies may take. Only installing may take longer, and reports its progress.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// Why the steward did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StewardError {
    /// It refused, or could not do it; the text says why and what to do.
    #[error("{0}")]
    Refused(String),
    /// It could not be reached, or its reply is not valid.
    #[error("the device's steward does not respond ({0})")]
    Unreachable(io::Error),
}

impl From<io::Error> for StewardError {
    fn from(error: io::Error) -> Self {
        Self::Unreachable(error)
    }
}

impl StewardError {
    /// A reply to another request.
    pub(in crate::appliance) fn unexpected() -> Self {
        io::Error::from(io::ErrorKind::InvalidData).into()
    }
}

/// A client of the steward.
#[derive(Clone, Debug)]
pub struct StewardClient(PathBuf);

impl StewardClient {
    /// One that connects to this socket.
    #[must_use]
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self(socket.into())
    }

    /// One for the steward that started this process; `None` without the image.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        std::env::var_os(STEWARD_VARIABLE).map(Self::at)
    }

    /// Sends a request, and waits for the reply.
    ///
    /// # Errors
    /// When the steward refuses or cannot be reached.
    pub async fn ask(&self, request: &StewardRequest) -> Result<StewardReply, StewardError> {
        let exchange = async { self.begin(request).await?.next_reply().await };
        match tokio::time::timeout(REPLY_TIMEOUT, exchange).await {
            Ok(reply) => reply,
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        }
    }

    /// Asks for the state of the device.
    ///
    /// # Errors
    /// When the steward cannot be reached.
    pub async fn status(&self) -> Result<DeviceStatus, StewardError> {
        match self.ask(&StewardRequest::Status).await? {
            StewardReply::Status(status) => Ok(*status),
            _ => Err(StewardError::unexpected()),
        }
    }

    /// Sends a request that has several replies, or is followed by a body.
    ///
    /// # Errors
    /// When the steward cannot be reached.
    pub async fn begin(&self, request: &StewardRequest) -> Result<Exchange, StewardError> {
        let (read, write) = UnixStream::connect(&self.0).await?.into_split();
        let (mut body, replies) = (RequestBody(write), Replies::new(read));
        body.send(&messages::line(request)?).await?;
        Ok(Exchange { body, replies })
    }

    /// [`ask`](Self::ask) from a thread without a runtime.
    ///
    /// # Errors
    /// When the steward refuses or cannot be reached.
    pub fn ask_blocking(&self, request: &StewardRequest) -> Result<StewardReply, StewardError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.ask(request))
    }
}

/// A request and its replies. Dropping it closes the connection.
#[derive(Debug)]
pub struct Exchange {
    body: RequestBody,
    replies: Replies,
}

impl Exchange {
    /// Waits for the next reply.
    ///
    /// # Errors
    /// When it is a refusal, or none comes.
    pub async fn next_reply(&mut self) -> Result<StewardReply, StewardError> {
        self.replies.next().await
    }

    /// The two directions, to send and receive at the same time. Dropping one of them leaves the
    /// other open.
    #[must_use]
    pub fn split(self) -> (RequestBody, Replies) {
        (self.body, self.replies)
    }
}

/// The body of a request, such as an update bundle.
#[derive(Debug)]
pub struct RequestBody(OwnedWriteHalf);

impl RequestBody {
    /// Sends a part of it.
    ///
    /// # Errors
    /// When the steward has closed the connection; its reply says why.
    pub async fn send(&mut self, data: &[u8]) -> io::Result<()> {
        self.0.write_all(data).await
    }
}

/// The steward's replies to a request.
#[derive(Debug)]
pub struct Replies {
    stream: BufReader<OwnedReadHalf>,
    /// The part of the next reply that was received. It is kept here so that waiting for a reply
    /// can be interrupted and resumed.
    line: Vec<u8>,
}

impl Replies {
    fn new(stream: OwnedReadHalf) -> Self {
        Self { stream: BufReader::new(stream), line: Vec::new() }
    }

    /// Waits for the next reply. May be dropped and called again.
    ///
    /// # Errors
    /// When it is a refusal, or none comes.
    pub async fn next(&mut self) -> Result<StewardReply, StewardError> {
        let room = LineLimit::REPLY.saturating_sub(self.line.len() as u64);
        let mut limited = (&mut self.stream).take(room);
        limited.read_until(b'\n', &mut self.line).await?;
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match serde_json::from_slice(&line).map_err(io::Error::other)? {
            StewardReply::Refused { why } => Err(StewardError::Refused(why)),
            reply => Ok(reply),
        }
    }
}
