//! The door to the steward: a Unix socket, at which the daemon asks for what it may not do itself.
//!
//! Who asks is known by the kernel's word (`SO_PEERCRED`, unix(7)). The daemon talks to the whole
//! network, so nothing it says is believed more than it would be from there.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::daemon::give;
use crate::appliance::{LongestLine, Reply, Request};

/// Most questions at once.
const MOST: usize = 16;

/// How long a question may take to be asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers at the door.
pub(super) trait Answerer: Send + Sync + 'static {
    /// Answers a request. `caller` is who asked.
    fn answer(
        &self,
        request: Request,
        caller: &mut Caller,
    ) -> impl Future<Output = Result<Reply, String>> + Send;
}

/// Who asked, and the line to them.
#[derive(Debug)]
pub(super) struct Caller {
    /// Whether it is root.
    pub(super) is_root: bool,
    stream: BufReader<UnixStream>,
}

impl Caller {
    /// Reads a part of the data that follows the request; nothing when there is no more.
    pub(super) async fn data(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer).await
    }

    /// Sends an answer.
    pub(super) async fn say(&mut self, reply: &Reply) -> io::Result<()> {
        let mut line = serde_json::to_vec(reply)?;
        line.push(b'\n');
        self.stream.write_all(&line).await
    }
}

/// Opens the door for the daemon's user and for root.
///
/// # Errors
/// When the socket cannot be made.
pub(super) fn open(path: &Path, daemon: (u32, u32)) -> io::Result<UnixListener> {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    give(path, daemon, 0o600)?;
    Ok(listener)
}

/// Answers whoever comes to the door.
pub(super) async fn keep(listener: UnixListener, daemon: u32, answerer: impl Answerer) {
    let answerer = Arc::new(answerer);
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                log::warn!("nobody gets in at the door: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let user = stream.peer_cred().map(|caller| caller.uid());
        let Some(user) = user.ok().filter(|user| *user == 0 || *user == daemon) else {
            log::warn!("somebody was at the door who is neither root nor the daemon");
            continue;
        };
        let answerer = answerer.clone();
        tokio::spawn(async move {
            let _place = place;
            let caller = Caller { is_root: user == 0, stream: BufReader::new(stream) };
            if let Err(error) = attend(caller, &*answerer).await {
                log::debug!("a question at the door came to nothing: {error}");
            }
        });
    }
}

async fn attend(mut caller: Caller, answerer: &impl Answerer) -> io::Result<()> {
    let mut line = Vec::new();
    let mut limited = (&mut caller.stream).take(LongestLine::REQUEST);
    tokio::time::timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await??;
    let answer = match serde_json::from_slice(&line) {
        Ok(request) => answerer.answer(request, &mut caller).await,
        Err(error) => Err(format!("that is no question the steward knows: {error}")),
    };
    let reply = answer.unwrap_or_else(|why| Reply::Refused { why });
    caller.say(&reply).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::{Steward, StewardError};

    struct Echo;

    impl Answerer for Echo {
        async fn answer(&self, request: Request, caller: &mut Caller) -> Result<Reply, String> {
            match request {
                Request::Log => Ok(Reply::Log { lines: vec![format!("{}", caller.is_root)] }),
                Request::Install { length } => {
                    let mut data = vec![0; 4096];
                    let mut got = 0;
                    while got < length {
                        let read = caller.data(&mut data).await.map_err(|e| e.to_string())?;
                        got += read as u64;
                        caller
                            .say(&Reply::Progress { percent: 50, step: "half".into() })
                            .await
                            .map_err(|e| e.to_string())?;
                    }
                    Ok(Reply::Done)
                }
                _ => Err("not today".into()),
            }
        }
    }

    fn door() -> (tempfile::TempDir, Steward) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("door");
        let user = rustix::process::getuid().as_raw();
        let listener = open(&path, (user, rustix::process::getgid().as_raw())).unwrap();
        tokio::spawn(keep(listener, user, Echo));
        (folder, Steward::at(path))
    }

    #[tokio::test]
    async fn questions_are_answered_and_refusals_say_why() {
        let (_folder, steward) = door();
        let is_root = rustix::process::getuid().is_root().to_string();
        assert_eq!(steward.ask(&Request::Log).await.unwrap(), Reply::Log { lines: vec![is_root] });
        let refused = steward.ask(&Request::Restart).await.unwrap_err();
        assert!(matches!(refused, StewardError::Refused(why) if why == "not today"));
    }

    #[tokio::test]
    async fn data_follows_a_request_and_progress_comes_back() {
        let (_folder, steward) = door();
        let mut asked = steward.begin(&Request::Install { length: 4 }).await.unwrap();
        asked.send(b"four").await.unwrap();
        assert!(matches!(asked.answer().await.unwrap(), Reply::Progress { percent: 50, .. }));
        assert_eq!(asked.answer().await.unwrap(), Reply::Done);
    }

    #[tokio::test]
    async fn nonsense_is_refused_and_the_door_stays_open() {
        let (folder, steward) = door();
        let mut stream = UnixStream::connect(folder.path().join("door")).await.unwrap();
        stream.write_all(b"{\"ask\":\"open sesame\"}\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("no question the steward knows"), "{answer}");
        steward.ask(&Request::Log).await.unwrap();
    }
}
