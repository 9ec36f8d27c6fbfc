//! The Wi-Fi interface: one wpa_supplicant, started again for each thing that it is to do.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendError;
use tokio::task::JoinHandle;

use super::wpa_conf::{self, AccessPoint};
use super::wpa_ctrl::{self, SupplicantEvent, WpaCtrl};
use crate::appliance::{SeenNetwork, create_private};
use crate::config::{CountryCode, WifiNetwork};
use crate::steward::process;
use crate::steward::supervised_process::SupervisedProcess;

/// How long a scan may take.
const SCAN_TIMEOUT: Duration = Duration::from_secs(8);

/// How often a connection to wpa_supplicant is tried while it starts.
const CONNECT_RETRY: Duration = Duration::from_millis(100);

/// A connection on which nothing was received for this long is tested.
const PING_AFTER: Duration = Duration::from_secs(15);

/// What wpa_supplicant is run for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SupplicantMode {
    /// To join one of these networks. With none of them, only to scan.
    Station(Vec<WifiNetwork>),
    /// To be an access point.
    AccessPoint(AccessPoint),
}

/// A Wi-Fi interface.
#[derive(Debug)]
pub(super) struct WifiInterface {
    /// The name of its link.
    pub(super) link: String,
    country: Option<CountryCode>,
    /// Where wpa_supplicant's configuration and sockets are.
    runtime_dir: PathBuf,
    supplicant: Option<Supplicant>,
    /// What was in range at the last scan.
    seen: Vec<SeenNetwork>,
    events: (mpsc::Sender<SupplicantEvent>, mpsc::Receiver<SupplicantEvent>),
}

/// The wpa_supplicant that runs.
#[derive(Debug)]
struct Supplicant {
    process: SupervisedProcess,
    listener: JoinHandle<()>,
}

impl WifiInterface {
    pub(super) fn new(link: &str, country: Option<CountryCode>, runtime_dir: &Path) -> Self {
        Self {
            link: link.to_owned(),
            country,
            runtime_dir: runtime_dir.to_owned(),
            supplicant: None,
            seen: Vec::new(),
            events: mpsc::channel(16),
        }
    }

    /// Sets the country from the next start of wpa_supplicant on.
    pub(super) fn set_country(&mut self, country: CountryCode) {
        self.country = Some(country);
    }

    /// Stops wpa_supplicant.
    pub(super) async fn stop(&mut self) {
        if let Some(Supplicant { process, listener }) = self.supplicant.take() {
            listener.abort();
            process.stop().await;
        }
        // Its events are of no interest any more.
        while self.events.1.try_recv().is_ok() {}
    }

    /// Starts wpa_supplicant in this mode, in place of one that runs.
    pub(super) async fn start(&mut self, mode: &SupplicantMode) -> io::Result<()> {
        self.stop().await;
        let sockets = self.sockets();
        let country = self.country.as_ref();
        let conf = match mode {
            SupplicantMode::Station(networks) => wpa_conf::station(&sockets, country, networks),
            SupplicantMode::AccessPoint(own) => wpa_conf::access_point(&sockets, country, own),
        };
        let file = self.runtime_dir.join("wpa.conf");
        create_private(&file)?.write_all(conf.as_bytes())?;
        let link = self.link.clone();
        let process = SupervisedProcess::start("wpa_supplicant", move || {
            let mut command = process::command("wpa_supplicant");
            command.args(["-D", "nl80211", "-i", &link, "-c"]).arg(&file);
            command
        });
        let listener = tokio::spawn(listen(sockets, self.link.clone(), self.events.0.clone()));
        self.supplicant = Some(Supplicant { process, listener });
        Ok(())
    }

    /// Waits for wpa_supplicant's next event.
    pub(super) async fn next_event(&mut self) -> SupplicantEvent {
        match self.events.1.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// Scans, and returns what is in range. If it cannot scan, because it is an access point, that
    /// is what was in range before.
    pub(super) async fn scan(&mut self) -> Vec<SeenNetwork> {
        let was_stopped = self.supplicant.is_none();
        if was_stopped && let Err(error) = self.start(&SupplicantMode::Station(Vec::new())).await {
            log::warn!("{} cannot scan: {error}", self.link);
        }
        match tokio::time::timeout(SCAN_TIMEOUT, self.request_scan()).await {
            Ok(Ok(seen)) => self.seen = seen,
            Ok(Err(error)) => log::debug!("{} cannot scan: {error}", self.link),
            Err(_) => log::debug!("{}: the scan takes too long", self.link),
        }
        if was_stopped {
            self.stop().await;
        }
        self.seen.clone()
    }

    /// What wpa_supplicant found when it last scanned by itself.
    pub(super) async fn scan_results(&mut self) -> Vec<SeenNetwork> {
        let sockets = self.sockets();
        let connecting = connect(&sockets, &self.link);
        if let Ok(ctrl) = tokio::time::timeout(SCAN_TIMEOUT, connecting).await
            && let Ok(reply) = ctrl.request("SCAN_RESULTS").await
        {
            self.seen = wpa_ctrl::parse_scan_results(&reply);
        }
        self.seen.clone()
    }

    /// The name of the network that was joined.
    pub(super) async fn joined_ssid(&self) -> Option<String> {
        let sockets = self.sockets();
        let connecting = connect(&sockets, &self.link);
        let ctrl = tokio::time::timeout(SCAN_TIMEOUT, connecting).await.ok()?;
        wpa_ctrl::parse_joined_ssid(&ctrl.request("STATUS").await.ok()?)
    }

    async fn request_scan(&self) -> io::Result<Vec<SeenNetwork>> {
        let ctrl = connect(&self.sockets(), &self.link).await;
        ctrl.request("SCAN").await?;
        // The end of a scan is an event like any other; polling is as good, and simpler.
        let mut seen = Vec::new();
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = wpa_ctrl::parse_scan_results(&ctrl.request("SCAN_RESULTS").await?);
            if !now.is_empty() && now.len() == seen.len() {
                return Ok(now);
            }
            seen = now;
        }
        Ok(seen)
    }

    fn sockets(&self) -> PathBuf {
        self.runtime_dir.join("wpa")
    }
}

/// Connects, however long wpa_supplicant takes to start.
async fn connect(sockets: &Path, link: &str) -> WpaCtrl {
    loop {
        if let Ok(ctrl) = WpaCtrl::connect(sockets, link).await
            && ctrl.request("PING").await.is_ok()
        {
            return ctrl;
        }
        tokio::time::sleep(CONNECT_RETRY).await;
    }
}

/// Forwards events, from one wpa_supplicant to the next.
async fn listen(sockets: PathBuf, link: String, to: mpsc::Sender<SupplicantEvent>) {
    loop {
        let ctrl = connect(&sockets, &link).await;
        if ctrl.attach().await.is_err() {
            continue;
        }
        // One that replaces another may have connected before this subscription. Requested on
        // another connection, because this one receives events.
        let status = connect(&sockets, &link).await.request("STATUS").await;
        if status.is_ok_and(|reply| wpa_ctrl::is_completed(&reply))
            && to.send(SupplicantEvent::Connected).await.is_err()
        {
            return;
        }
        if forward_events(&ctrl, &to).await.is_err() {
            return;
        }
        // The next one starts without a connection.
        if to.send(SupplicantEvent::Disconnected).await.is_err() {
            return;
        }
    }
}

/// Forwards events until the connection breaks.
///
/// # Errors
/// When nobody receives them any more.
async fn forward_events(
    ctrl: &WpaCtrl,
    to: &mpsc::Sender<SupplicantEvent>,
) -> Result<(), SendError<SupplicantEvent>> {
    let mut pinged = false;
    loop {
        match tokio::time::timeout(PING_AFTER, ctrl.next_message()).await {
            Ok(Ok(message)) => {
                pinged = false;
                if let Some(event) = message {
                    to.send(event).await?;
                }
            }
            Ok(Err(_)) => return Ok(()),
            // A datagram socket does not notice by itself that the other end is gone.
            Err(_) if pinged || ctrl.ping().await.is_err() => return Ok(()),
            Err(_) => pinged = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixDatagram;

    /// As much of wpa_supplicant as is needed here, until it is aborted. It sends `event` to
    /// whoever attaches, and replies `state` to `STATUS`.
    fn supplicant(socket: &Path, state: &'static str, event: &'static str) -> JoinHandle<()> {
        // Like the real one, it removes what a former one has left.
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
        let (to, mut events) = mpsc::channel(16);
        let listener = tokio::spawn(listen(sockets.clone(), "wlan9".into(), to));
        assert_eq!(events.recv().await, Some(SupplicantEvent::Connected));
        // One that is only silent stays connected.
        let long = PING_AFTER * 10 + PING_AFTER / 2;
        assert!(tokio::time::timeout(long, events.recv()).await.is_err());

        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        let event = "<3>CTRL-EVENT-NETWORK-NOT-FOUND ";
        let _second = supplicant(&sockets.join("wlan9"), "wpa_state=COMPLETED\n", event);
        let mut heard = Vec::new();
        while heard.len() < 3 {
            heard.push(tokio::time::timeout(long, events.recv()).await.unwrap().unwrap());
        }
        assert_eq!(
            heard,
            [
                SupplicantEvent::Disconnected,
                SupplicantEvent::Connected,
                SupplicantEvent::NetworkNotFound
            ]
        );
        listener.abort();
    }
}
