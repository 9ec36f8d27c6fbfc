//! The radio: one wpa_supplicant, started anew for each thing it is to do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendError;
use tokio::task::JoinHandle;

use super::wpa::{self, Control, News, OwnNetwork};
use crate::appliance::SeenNetwork;
use crate::config::{CountryCode, WifiNetwork};
use crate::steward::programs;
use crate::steward::service::Service;

/// How long a look around may take.
const LOOK: Duration = Duration::from_secs(8);

/// How often the line to wpa_supplicant is tried while it starts.
const RETRY: Duration = Duration::from_millis(100);

/// A line on which nothing was heard for so long is tested.
const QUIET: Duration = Duration::from_secs(15);

/// What wpa_supplicant is run for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// To join one of these. With none of them, just to look around.
    Join(Vec<WifiNetwork>),
    /// To be an access point.
    Open(OwnNetwork),
}

/// The radio of one link.
#[derive(Debug)]
pub(super) struct Radio {
    pub(super) link: String,
    country: Option<CountryCode>,
    /// Where configuration and sockets are.
    folder: PathBuf,
    running: Option<Running>,
    /// What was in reach when that was last looked at.
    seen: Vec<SeenNetwork>,
    news: (mpsc::Sender<News>, mpsc::Receiver<News>),
}

#[derive(Debug)]
struct Running {
    supplicant: Service,
    listener: JoinHandle<()>,
}

impl Radio {
    pub(super) fn new(link: &str, country: Option<CountryCode>, folder: &Path) -> Self {
        Self {
            link: link.to_owned(),
            country,
            folder: folder.to_owned(),
            running: None,
            seen: Vec::new(),
            news: mpsc::channel(16),
        }
    }

    /// From now on, the country is this one.
    pub(super) fn set_country(&mut self, country: CountryCode) {
        self.country = Some(country);
    }

    /// Ends what it does.
    pub(super) async fn rest(&mut self) {
        if let Some(Running { supplicant, listener }) = self.running.take() {
            listener.abort();
            supplicant.stop().await;
        }
        // News of what is over are no news.
        while self.news.1.try_recv().is_ok() {}
    }

    /// Does something else.
    pub(super) async fn start(&mut self, task: &Task) -> std::io::Result<()> {
        self.rest().await;
        let sockets = self.sockets();
        let country = self.country.as_ref();
        let conf = match task {
            Task::Join(networks) => wpa::station(&sockets, country, networks),
            Task::Open(own) => wpa::access_point(&sockets, country, own),
        };
        let file = self.folder.join("wpa.conf");
        write_secret(&file, &conf)?;
        let link = self.link.clone();
        let supplicant = Service::start("wpa_supplicant", move || {
            let mut command = programs::command("wpa_supplicant");
            command.args(["-D", "nl80211", "-i", &link, "-c"]).arg(&file);
            command
        });
        let listener = tokio::spawn(listen(sockets, self.link.clone(), self.news.0.clone()));
        self.running = Some(Running { supplicant, listener });
        Ok(())
    }

    /// Waits for news.
    pub(super) async fn news(&mut self) -> News {
        match self.news.1.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }

    /// What is in reach. While the radio cannot look, because it is an access point, that is what
    /// was in reach before.
    pub(super) async fn look(&mut self) -> Vec<SeenNetwork> {
        let resting = self.running.is_none();
        if resting && let Err(error) = self.start(&Task::Join(Vec::new())).await {
            log::warn!("{} cannot look around: {error}", self.link);
        }
        match tokio::time::timeout(LOOK, self.scan()).await {
            Ok(Ok(seen)) => self.seen = seen,
            Ok(Err(error)) => log::debug!("{} cannot look around: {error}", self.link),
            Err(_) => log::debug!("{} does not come to an end with looking around", self.link),
        }
        if resting {
            self.rest().await;
        }
        self.seen.clone()
    }

    /// What is in reach by what wpa_supplicant has seen in passing.
    pub(super) async fn glance(&mut self) -> Vec<SeenNetwork> {
        let sockets = self.sockets();
        let line = connect(&sockets, &self.link);
        if let Ok(line) = tokio::time::timeout(LOOK, line).await
            && let Ok(answer) = line.ask("SCAN_RESULTS").await
        {
            self.seen = wpa::scan_results(&answer);
        }
        self.seen.clone()
    }

    /// The name of the network that was joined.
    pub(super) async fn joined(&self) -> Option<String> {
        let line = tokio::time::timeout(LOOK, connect(&self.sockets(), &self.link)).await.ok()?;
        wpa::joined(&line.ask("STATUS").await.ok()?)
    }

    async fn scan(&self) -> std::io::Result<Vec<SeenNetwork>> {
        let line = connect(&self.sockets(), &self.link).await;
        line.ask("SCAN").await?;
        // The end of a scan is news like any other; asking again is as good, and simpler.
        let mut seen = Vec::new();
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = wpa::scan_results(&line.ask("SCAN_RESULTS").await?);
            if !now.is_empty() && now.len() == seen.len() {
                return Ok(now);
            }
            seen = now;
        }
        Ok(seen)
    }

    fn sockets(&self) -> PathBuf {
        self.folder.join("wpa")
    }
}

/// Connects, however long wpa_supplicant takes to start.
async fn connect(sockets: &Path, link: &str) -> Control {
    loop {
        if let Ok(control) = Control::connect(sockets, link).await
            && control.ask("PING").await.is_ok()
        {
            return control;
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Passes on news, from one wpa_supplicant to the next.
async fn listen(sockets: PathBuf, link: String, to: mpsc::Sender<News>) {
    loop {
        let line = connect(&sockets, &link).await;
        if line.attach().await.is_err() {
            continue;
        }
        // One that took the place of another may have joined before there was a line to tell it on.
        // Asked on another line: this one has news.
        let status = connect(&sockets, &link).await.ask("STATUS").await;
        if status.is_ok_and(|answer| wpa::is_up(&answer)) && to.send(News::Joined).await.is_err() {
            return;
        }
        if pass_on(&line, &to).await.is_err() {
            return;
        }
        // Who took its place begins anew.
        if to.send(News::Left).await.is_err() {
            return;
        }
    }
}

/// Passes on news as long as the line holds.
///
/// # Errors
/// When nobody wants them any more.
async fn pass_on(line: &Control, to: &mpsc::Sender<News>) -> Result<(), SendError<News>> {
    let mut prodded = false;
    loop {
        match tokio::time::timeout(QUIET, line.hear()).await {
            Ok(Ok(heard)) => {
                prodded = false;
                if let Some(news) = heard {
                    to.send(news).await?;
                }
            }
            Ok(Err(_)) => return Ok(()),
            // A datagram socket does not tell by itself that nobody is at the other end any more.
            Err(_) if prodded || line.prod().await.is_err() => return Ok(()),
            Err(_) => prodded = true,
        }
    }
}

/// Writes a file that only root may read.
fn write_secret(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(file)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixDatagram;

    /// As much of wpa_supplicant as is talked to, until it is aborted. Each that attaches is told
    /// `event`; asked how it stands, it says `state`.
    fn supplicant(socket: &Path, state: &'static str, event: &'static str) -> JoinHandle<()> {
        // Like the real one, it takes away what one before it has left.
        let _ = std::fs::remove_file(socket);
        let socket = UnixDatagram::bind(socket).unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 100];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let to = from.as_pathname().unwrap();
                let answers = match &buffer[..length] {
                    b"PING" => vec!["PONG\n"],
                    b"STATUS" => vec![state],
                    b"ATTACH" => vec!["OK\n", event],
                    other => panic!("{other:?}"),
                };
                for answer in answers {
                    let _ = socket.send_to(answer.as_bytes(), to).await;
                }
            }
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_wpa_supplicant_that_takes_the_place_of_another_is_heard() {
        let folder = tempfile::tempdir().unwrap();
        let sockets = folder.path().join("wpa");
        std::fs::create_dir(&sockets).unwrap();
        let first =
            supplicant(&sockets.join("wlan9"), "wpa_state=SCANNING\n", "<3>CTRL-EVENT-CONNECTED ");
        let (to, mut news) = mpsc::channel(16);
        let listener = tokio::spawn(listen(sockets.clone(), "wlan9".into(), to));
        assert_eq!(news.recv().await, Some(News::Joined));
        // One that only has nothing to say stays.
        let long = QUIET * 10 + QUIET / 2;
        assert!(tokio::time::timeout(long, news.recv()).await.is_err());

        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        let event = "<3>CTRL-EVENT-NETWORK-NOT-FOUND ";
        let _second = supplicant(&sockets.join("wlan9"), "wpa_state=COMPLETED\n", event);
        let mut heard = Vec::new();
        while heard.len() < 3 {
            heard.push(tokio::time::timeout(long, news.recv()).await.unwrap().unwrap());
        }
        assert_eq!(heard, [News::Left, News::Joined, News::NotFound]);
        listener.abort();
    }
}
