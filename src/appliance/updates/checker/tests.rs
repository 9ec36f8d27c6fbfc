//! Updates that install themselves: when, and when not.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;

use super::*;
use crate::appliance::updates::check_schedule::IDLE_TIME;
use crate::appliance::{DeviceStatus, StewardReply, StewardRequest, UpdateStatus};
use crate::config::Schedule;
use crate::site::testing::{Reply as Page, Server};

/// A stand-in for the steward: says how the device is, and takes or refuses bundles.
#[derive(Clone)]
struct StandIn {
    status: Arc<Mutex<DeviceStatus>>,
    refuses: bool,
    installs: Arc<AtomicUsize>,
}

impl StandIn {
    fn start(refuses: bool) -> (Self, tempfile::TempDir, StewardClient) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let status = DeviceStatus { version: "0.2.0".into(), ..DeviceStatus::default() };
        let status = Arc::new(Mutex::new(status));
        let this = Self { status, refuses, installs: Arc::default() };
        let keeper = this.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(keeper.clone().attend(BufReader::new(stream)));
            }
        });
        (this, folder, StewardClient::at(socket))
    }

    async fn attend(self, mut stream: BufReader<tokio::net::UnixStream>) {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let reply = match serde_json::from_str(&line).unwrap() {
            StewardRequest::Status => {
                StewardReply::Status(Box::new(self.status.lock().unwrap().clone()))
            }
            StewardRequest::Install { length } => {
                let mut bundle = vec![0; length as usize];
                // One that comes to nothing is none.
                let whole = stream.read_exact(&mut bundle).await.is_ok();
                self.installs.fetch_add(usize::from(whole), Ordering::SeqCst);
                if self.refuses {
                    StewardReply::Refused { why: "wrong key".into() }
                } else {
                    StewardReply::Done
                }
            }
            _ => StewardReply::Refused { why: "what?".into() },
        };
        let line = serde_json::to_string(&reply).unwrap() + "\n";
        let _ = stream.write_all(line.as_bytes()).await;
    }

    fn installs(&self) -> usize {
        self.installs.load(Ordering::SeqCst)
    }
}

/// A server with the manifest of 0.3.0, and one that has the bundle.
fn servers(bundle: Vec<Page>) -> (Server, Server) {
    let bundles = Server::start(bundle);
    let url = bundles.url();
    let manifest = format!(r#"{{"version": "0.3.0", "url": "{url}", "size": 6}}"#);
    (Server::start(vec![Page::ok(manifest.as_bytes())]), bundles)
}

fn checker(
    steward: StewardClient,
    url: &str,
    install: Install,
) -> (UpdateChecker, CheckSchedule, Instant) {
    let url = Some(url.parse().unwrap());
    let settings = Update { url, check: Schedule::Daily, install };
    let device = crate::appliance::Device::new(steward, settings);
    let start = Instant::now();
    (device.updates().clone(), CheckSchedule::new(Schedule::Daily, start, 0.0), start)
}

#[tokio::test]
async fn an_update_installs_itself_when_nobody_has_watched_for_ten_minutes() {
    let (steward, _folder, client) = StandIn::start(false);
    let (web, _bundles) = servers(vec![Page::ok(b"bundle")]);
    let (updates, mut schedule, start) = checker(client, &web.url(), Install::Automatic);
    updates.run_once(&mut schedule, true, start).await;
    assert_eq!(web.served(), 0, "it is not yet time");
    updates.run_once(&mut schedule, true, start + IDLE_TIME).await;
    assert_eq!(updates.last_check().available.unwrap().version, "0.3.0");
    updates.run_once(&mut schedule, false, start + 2 * IDLE_TIME).await;
    assert_eq!(steward.installs(), 0, "somebody watched a moment ago");
    updates.run_once(&mut schedule, false, start + 3 * IDLE_TIME).await;
    assert_eq!(steward.installs(), 1);
    updates.run_once(&mut schedule, false, start + 4 * IDLE_TIME).await;
    assert_eq!((steward.installs(), web.served()), (1, 1), "the device is about to restart");
}

#[tokio::test]
async fn an_update_waits_for_its_owner_where_that_was_said() {
    let (steward, _folder, client) = StandIn::start(false);
    let (web, _bundles) = servers(vec![Page::ok(b"bundle")]);
    let (updates, mut schedule, start) = checker(client, &web.url(), Install::Manual);
    updates.run_once(&mut schedule, false, start + IDLE_TIME).await;
    assert_eq!((updates.last_check().available.is_some(), steward.installs()), (true, 0));
    assert!(matches!(updates.start("0.4.0"), Err(InstallError::Bundle(_))));
    updates.start("0.3.0").unwrap().await.unwrap().unwrap();
    assert_eq!(steward.installs(), 1);
}

#[tokio::test]
async fn an_update_that_was_refused_or_undone_is_not_tried_over_and_over() {
    let (steward, _folder, client) = StandIn::start(true);
    let (web, _bundles) = servers(vec![Page::ok(b"bundle")]);
    let (refused, mut schedule, start) = checker(client.clone(), &web.url(), Install::Automatic);
    for times in 1..=200 {
        refused.run_once(&mut schedule, false, start + times * IDLE_TIME).await;
    }
    assert_eq!(steward.installs(), 1);
    assert!(web.served() > 1, "it is looked for again, for there may be another");

    let why = "no picture".into();
    steward.status.lock().unwrap().update =
        UpdateStatus { version: Some("0.3.0".into()), outcome: UpdateOutcome::FellBack { why } };
    let (undone, mut schedule, start) = checker(client, &web.url(), Install::Automatic);
    undone.run_once(&mut schedule, false, start + IDLE_TIME).await;
    assert_eq!((undone.last_check().available.is_some(), steward.installs()), (true, 1));
}

#[tokio::test]
async fn an_update_that_did_not_come_is_fetched_again_at_the_next_look() {
    let (steward, _folder, client) = StandIn::start(false);
    let (web, bundles) = servers(vec![Page::status("503 Busy"), Page::ok(b"bundle")]);
    let (updates, mut schedule, start) = checker(client, &web.url(), Install::Automatic);
    let hours = |hours: u64| start + Duration::from_secs(hours * 3600);
    updates.run_once(&mut schedule, false, hours(1)).await;
    updates.run_once(&mut schedule, false, hours(2)).await;
    assert_eq!((bundles.served(), steward.installs()), (1, 0));
    updates.run_once(&mut schedule, false, hours(30)).await;
    assert_eq!((bundles.served(), steward.installs()), (2, 1));
}

#[tokio::test]
async fn a_look_that_fails_leaves_what_was_known() {
    let (_steward, _folder, client) = StandIn::start(false);
    let (first, _bundles) = servers(vec![Page::ok(b"bundle")]);
    let (updates, ..) = checker(client, &first.url(), Install::Manual);
    updates.check().await.unwrap();
    drop(first);
    updates.check().await.unwrap_err();
    let check = updates.last_check();
    assert!(check.available.is_some() && check.problem.is_some(), "{check:?}");
}
