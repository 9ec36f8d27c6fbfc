//! The control socket: a Unix socket at which the daemon asks the steward for what it may not do
//! itself.
//!
//! The kernel says which user a client is (`SO_PEERCRED`, unix(7)). The daemon talks to the whole
//! network, so its requests are checked as if they came from there.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::unix_user::UnixUser;
use crate::appliance::{LineLimit, StewardReply, StewardRequest};

/// Most connections at once.
const MAX_CLIENTS: usize = 16;

/// How long a client may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause after a connection could not be accepted, so that a lasting error does not take all of the
/// CPU.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// Carries out the requests that come in at the control socket.
pub(super) trait RequestHandler: Send + Sync + 'static {
    /// Carries out a request of `client`. The error says why it was refused.
    fn handle(
        &self,
        request: StewardRequest,
        client: &mut Client,
    ) -> impl Future<Output = Result<StewardReply, String>> + Send;
}

/// The connection to a client.
#[derive(Debug)]
pub(super) struct Client {
    /// Whether the client runs as root.
    pub(super) is_root: bool,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Reads a part of the data that follows the request; 0 bytes when there is no more.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer).await
    }

    /// Sends a reply.
    pub(super) async fn send(&mut self, reply: &StewardReply) -> io::Result<()> {
        let mut line = serde_json::to_vec(reply)?;
        line.push(b'\n');
        self.stream.write_all(&line).await
    }
}

/// The socket, listening.
#[derive(Debug)]
pub(super) struct ControlSocket {
    listener: UnixListener,
    daemon: UnixUser,
}

impl ControlSocket {
    /// Listens at `path` for the daemon's user and for root.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(super) fn bind(path: &Path, daemon: UnixUser) -> io::Result<Self> {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path)?;
        daemon.own(path, 0o600)?;
        Ok(Self { listener, daemon })
    }

    /// Accepts clients and has `handler` carry out their requests.
    pub(super) async fn serve(self, handler: impl RequestHandler) {
        let handler = Arc::new(handler);
        let permits = Arc::new(Semaphore::new(MAX_CLIENTS));
        loop {
            let Ok(permit) = permits.clone().acquire_owned().await else { return };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    log::warn!("control socket: accept failed: {error}");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                    continue;
                }
            };
            let uid = stream.peer_cred().map(|peer| peer.uid());
            let Some(uid) = uid.ok().filter(|uid| *uid == 0 || *uid == self.daemon.uid) else {
                log::warn!("control socket: refused a client that is neither root nor the daemon");
                continue;
            };
            let handler = handler.clone();
            tokio::spawn(async move {
                let _permit = permit;
                let client = Client { is_root: uid == 0, stream: BufReader::new(stream) };
                if let Err(error) = serve_client(client, &*handler).await {
                    log::debug!("control socket: a request failed: {error}");
                }
            });
        }
    }
}

/// Reads a client's request, and sends the reply to it.
async fn serve_client(mut client: Client, handler: &impl RequestHandler) -> io::Result<()> {
    let mut line = Vec::new();
    let mut limited = (&mut client.stream).take(LineLimit::REQUEST);
    tokio::time::timeout(REQUEST_TIMEOUT, limited.read_until(b'\n', &mut line)).await??;
    let result = match serde_json::from_slice(&line) {
        Ok(request) => handler.handle(request, &mut client).await,
        Err(error) => Err(format!("the steward does not know this request: {error}")),
    };
    let reply = result.unwrap_or_else(|why| StewardReply::Refused { why });
    client.send(&reply).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::{StewardClient, StewardError};

    struct Echo;

    impl RequestHandler for Echo {
        async fn handle(
            &self,
            request: StewardRequest,
            client: &mut Client,
        ) -> Result<StewardReply, String> {
            match request {
                StewardRequest::Log => {
                    Ok(StewardReply::Log { lines: vec![format!("{}", client.is_root)] })
                }
                StewardRequest::Install { length } => {
                    let mut data = vec![0; 4096];
                    let mut got = 0;
                    while got < length {
                        let read = client.read(&mut data).await.map_err(|e| e.to_string())?;
                        got += read as u64;
                        client
                            .send(&StewardReply::Progress { percent: 50, step: "half".into() })
                            .await
                            .map_err(|e| e.to_string())?;
                    }
                    Ok(StewardReply::Done)
                }
                _ => Err("not today".into()),
            }
        }
    }

    fn serve() -> (tempfile::TempDir, StewardClient) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let socket = ControlSocket::bind(&path, UnixUser::current()).unwrap();
        tokio::spawn(socket.serve(Echo));
        (folder, StewardClient::at(path))
    }

    #[tokio::test]
    async fn questions_are_answered_and_refusals_say_why() {
        let (_folder, steward) = serve();
        let is_root = rustix::process::getuid().is_root().to_string();
        assert_eq!(
            steward.ask(&StewardRequest::Log).await.unwrap(),
            StewardReply::Log { lines: vec![is_root] }
        );
        let refused = steward.ask(&StewardRequest::Restart).await.unwrap_err();
        assert!(matches!(refused, StewardError::Refused(why) if why == "not today"));
    }

    #[tokio::test]
    async fn data_follows_a_request_and_progress_comes_back() {
        let (_folder, steward) = serve();
        let exchange = steward.begin(&StewardRequest::Install { length: 4 }).await.unwrap();
        let (mut body, mut replies) = exchange.split();
        body.send(b"four").await.unwrap();
        let progress = replies.next().await.unwrap();
        assert!(matches!(progress, StewardReply::Progress { percent: 50, .. }));
        assert_eq!(replies.next().await.unwrap(), StewardReply::Done);
    }

    #[tokio::test]
    async fn nonsense_is_refused_and_the_door_stays_open() {
        let (folder, steward) = serve();
        let mut stream = UnixStream::connect(folder.path().join("control.sock")).await.unwrap();
        stream.write_all(b"{\"ask\":\"open sesame\"}\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("does not know this request"), "{answer}");
        steward.ask(&StewardRequest::Log).await.unwrap();
    }
}
