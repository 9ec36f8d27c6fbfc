//! A native viewer: watches a camera without a browser and saves what it sees.
//!
//! ```sh
//! cargo run --example viewer -- http://127.0.0.1:8000/ out.mp4 --seconds 10
//! cargo run --example viewer -- http://127.0.0.1:8000/ - | ffplay -fflags nobuffer -
//! ```
//!
//! It is written to be read by people who write their own viewer, and uses the `webrtc` crate;
//! other libraries have the same parts under similar names. Four steps, one file each:
//!
//! 1. [`connection`]: a peer connection that offers to receive H.264, and its offer.
//! 2. [`signalling`]: the offer goes to the camera by HTTP and its answer comes back (WHEP, or
//!    the JSON of `/offer`). When all is over, the session is ended there too.
//! 3. [`pictures`]: RTP packets are put in order and back together into pictures (RFC 6184).
//! 4. [`recording`]: pictures go into an `.mp4` or `.h264` file.

mod connection;
mod pictures;
mod recording;
mod signalling;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use tokio::time::{Instant, sleep_until, timeout};

use connection::{Connection, Received};
use pictures::Pictures;
use recording::Recording;
use signalling::{Camera, Door};

/// Watches a camera and saves the video.
#[derive(Parser)]
struct Options {
    /// The camera's address, as in a browser.
    camera: String,
    /// Where to save: a name that ends in .mp4 or .h264, or - for H.264 to the standard output.
    file: PathBuf,
    /// Stop after so much video. Without it, Ctrl-C stops.
    #[arg(long, value_name = "N")]
    seconds: Option<f64>,
    /// A token of the camera's [auth] tokens, where it asks for one.
    #[arg(long)]
    token: Option<String>,
    /// Which of the camera's two doors to knock on.
    #[arg(long, value_enum, default_value = "whep")]
    door: Door,
}

/// The connection must stand, and later the next picture come, within this time.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    env_logger::init();
    match watch(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("viewer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn watch(options: &Options) -> anyhow::Result<()> {
    let camera = Camera::new(&options.camera, options.token.as_deref())?;
    let mut recording = Recording::create(&options.file)?;

    // Nothing is sent to the camera but the offer, so a socket on the one local address that
    // leads there is enough. A viewer behind a NAT of its own needs no more: the camera sees
    // where its packets come from.
    let mut connection = Connection::new(camera.local_address()?).await?;
    let session = camera.offer(options.door, connection.offer().await?).await?;
    eprintln!("watching {}", options.camera);

    let watched = async {
        connection.accept(session.answer()).await?;
        record(&mut connection, &mut recording, options.seconds).await
    };
    // Whatever happened, finish the file, and tell the camera: its next viewer may be waiting for
    // the place.
    let watched = watched.await;
    let saved = recording.finish();
    let ended = session.end().await;
    connection.close().await;
    eprintln!("saved {}", saved?);
    watched.and(ended)
}

/// Saves pictures until `seconds` of them are saved, Ctrl-C or the end of the stream.
async fn record(
    connection: &mut Connection,
    recording: &mut Recording,
    seconds: Option<f64>,
) -> anyhow::Result<()> {
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let stream = timeout(PATIENCE, connection.stream());
    let stream = tokio::select! {
        stream = stream => stream.context("no connection: can UDP from here reach the camera?")??,
        _ = &mut interrupted => return Ok(()),
    };
    let mut pictures = Pictures::default();
    let mut next_picture_by = Instant::now() + PATIENCE;
    loop {
        let received = tokio::select! {
            received = stream.next() => received,
            // The end of a session that the camera stopped, too: its goodbye (DTLS close_notify)
            // is not passed on by version 0.21 of the crate.
            () = sleep_until(next_picture_by) => bail!("no picture for {PATIENCE:?}"),
            _ = &mut interrupted => return Ok(()),
        };
        let Received::Packet(packet) = received else {
            eprintln!("the camera ended the session");
            return Ok(());
        };
        pictures.push(packet);
        while let Some(picture) = pictures.next() {
            recording.write(&picture)?;
            next_picture_by = Instant::now() + PATIENCE;
            if seconds.is_some_and(|s| recording.length().as_secs_f64() >= s) {
                return Ok(());
            }
        }
        if pictures.key_picture_wanted() {
            stream.request_key_picture().await?;
        }
    }
}
