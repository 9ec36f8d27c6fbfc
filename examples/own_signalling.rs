//! Signalling of your own: offers come over a Unix socket, not over HTTP.
//!
//! `cargo run --release --example own_signalling -- /tmp/camera.sock`
//!
//! Whoever may open the socket may watch. Each line is a JSON object. In come
//! `{"sdp": OFFER, "camera": NAME, "address": VIEWER}`, of which all but the offer can be left out,
//! `{"session": ID, "fragment": SDP}` with candidates that were found later, and
//! `{"session": ID, "close": true}`. Out go `{"session": ID, "sdp": ANSWER}`,
//! `{"session": ID, "state": STATE}` for each change, in the words of W3C's `RTCPeerConnectionState`, and
//! `{"error": WHY}`. When the connection ends, so do the sessions that were opened by it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use picket::events::{Event, Heard};
use picket::signalling::{Patched, Signalling};
use picket::{ConfigSource, Picket, start_logging};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

#[derive(Deserialize)]
#[serde(untagged)]
enum Request {
    Offer {
        sdp: String,
        #[serde(default = "main_camera")]
        camera: String,
        address: Option<IpAddr>,
    },
    Patch {
        session: String,
        fragment: String,
    },
    Close {
        session: String,
        close: bool,
    },
}

fn main_camera() -> String {
    "main".into()
}

/// One connection, and the sessions it has opened.
struct Client {
    signalling: Signalling,
    sessions: BTreeSet<String>,
}

impl Client {
    /// What to say to a line.
    async fn handle(&mut self, line: &str) -> Result<Option<Value>, String> {
        match serde_json::from_str(line).map_err(|error| error.to_string())? {
            Request::Offer { sdp, camera, address } => {
                let signalling = match address {
                    Some(address) => self.signalling.for_viewer_at(address),
                    None => self.signalling.clone(),
                };
                let answer = signalling.offer(&camera, sdp).await.map_err(|e| e.to_string())?;
                self.sessions.insert(answer.id.clone());
                Ok(Some(json!({ "session": answer.id, "sdp": answer.sdp })))
            }
            Request::Patch { session, fragment } if self.sessions.contains(&session) => {
                let patched = self.signalling.patch(&session, &fragment).await;
                match patched.map_err(|error| error.to_string())? {
                    Patched::Trickled => Ok(None),
                    Patched::Restarted { fragment, .. } => {
                        Ok(Some(json!({ "session": session, "fragment": fragment })))
                    }
                }
            }
            Request::Close { session, close } if self.sessions.contains(&session) => {
                if close {
                    self.signalling.close(&session).await;
                }
                Ok(None)
            }
            _ => Err("no session of that name was opened here".into()),
        }
    }
}

async fn serve(stream: UnixStream, signalling: Signalling) -> std::io::Result<()> {
    // Listened to before the first offer, so that no state is missed.
    let mut events = signalling.events();
    let mut client = Client { signalling, sessions: BTreeSet::new() };
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let done = loop {
        let said = tokio::select! {
            line = lines.next_line() => match line {
                Ok(Some(line)) => {
                    client.handle(&line).await.unwrap_or_else(|why| Some(json!({ "error": why })))
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            },
            heard = events.next() => match heard {
                Some(Heard::Event(Event::Session(session))) => {
                    let ours = client.sessions.contains(&session.id);
                    let state = session.connection_state;
                    ours.then(|| json!({ "session": session.id, "state": state }))
                }
                Some(_) => None,
                None => break Ok(()),
            },
        };
        if let Some(said) = said
            && let Err(error) = writer.write_all(format!("{said}\n").as_bytes()).await
        {
            break Err(error);
        }
    };
    for session in &client.sessions {
        client.signalling.close(session).await;
    }
    done
}

/// Runs beside [`Picket::run`], on a thread and an async runtime of its own.
#[tokio::main(flavor = "current_thread")]
async fn listen(path: String, signalling: Signalling) -> std::io::Result<()> {
    // What a former run has left.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    println!("send offers to {path}");
    loop {
        let (stream, _) = listener.accept().await?;
        let signalling = signalling.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(stream, signalling).await {
                log::warn!("a client was lost: {error}");
            }
        });
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    start_logging(log::LevelFilter::Info);
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: own_signalling SOCKET [KEY=VALUE]...")?;
    // Settings come from the command line: `-- /tmp/camera.sock camera.fps=15`.
    let sets = arguments.collect();
    let (config, problems) = ConfigSource { sets, ..ConfigSource::default() }.load(None);
    problems.iter().for_each(|problem| log::warn!("{problem}"));
    let picket = Picket::builder(config).build()?;
    println!("watch at http://{}/", picket.address());
    let (signalling, stopper) = (picket.signalling(), picket.stopper());
    let listener = std::thread::spawn(move || {
        let ended = listen(path, signalling);
        stopper.stop();
        ended
    });
    picket.run();
    // Only what could not go on has ended by itself.
    if listener.is_finished() {
        listener.join().map_err(|_| "the listener crashed")??;
    }
    Ok(())
}
