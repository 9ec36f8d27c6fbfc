//! `picket-status.txt` on the boot partition: how the device is, for an owner who has put the card
//! into a computer. It is written only when its text has changed.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use super::boot_partition::BootPartition;
use super::device_state::DeviceState;
use super::sanitize::{MAX_NAME, MAX_SENTENCE, line};
use super::stop_token::StopToken;
use crate::appliance::{DeviceStatus, HttpsStatus, UpdateOutcome, WifiStatus};

/// Its name on the boot partition.
pub(super) const NAME: &str = "picket-status.txt";

/// The state must not have changed for this long before it is written: at the start much changes
/// within seconds, and writing wears the card out.
const SETTLE_TIME: Duration = Duration::from_secs(5);

/// At least this long from one write to the next.
const MIN_INTERVAL: Duration = Duration::from_secs(60);

/// Writes the file whenever the state has changed, until `stop`.
pub(super) async fn keep_current(
    boot: BootPartition,
    device_state: DeviceState,
    mut stop: StopToken,
) {
    let mut changes = device_state.subscribe();
    let write = |status: &DeviceStatus| {
        if let Err(error) = boot.write(NAME, text(status).as_bytes()) {
            log::warn!("{NAME} cannot be written: {error}");
        }
    };
    loop {
        // Waits until nothing has changed for a while.
        while let Ok(Ok(())) = tokio::time::timeout(SETTLE_TIME, changes.changed()).await {
            if stop.is_stopped() {
                break;
            }
        }
        let status = changes.borrow_and_update().clone();
        write(&status);
        tokio::select! {
            () = tokio::time::sleep(MIN_INTERVAL) => {}
            () = stop.stopped() => break,
        }
        tokio::select! {
            _ = changes.changed() => {}
            () = stop.stopped() => break,
        }
    }
    write(&device_state.get());
}

/// Most characters of a problem with the configuration, which also says what was expected.
const MAX_PROBLEM: usize = 600;

/// Most notes, problems and networks in range that are listed.
const MAX_LISTED: usize = 100;

/// The file's text, with the line ends of Windows, where it is most likely read. Much of it comes
/// from the daemon, from Wi-Fi networks and from update bundles, and it is read with any program:
/// so each such text is sanitized where it is put in.
fn text(status: &DeviceStatus) -> String {
    let mut text = String::new();
    let slot = status.slot.map(|slot| format!(", system {slot}")).unwrap_or_default();
    let (version, board) = (line(&status.version, MAX_NAME), line(&status.board, MAX_NAME));
    let _ = writeln!(text, "Picket {version} ({board}){slot}\n");

    let _ = writeln!(text, "{}", addresses(status));
    if let Some(https) = &status.https {
        let _ = writeln!(text, "{}", secure_page(status, https));
    }
    let _ = writeln!(text, "{}", camera(status));
    let _ = writeln!(text, "{}", sign_in(status));
    let _ = writeln!(text, "{}", wifi(&status.wifi));
    let _ = write!(text, "{}", update(status));
    for note in status.notes.values().take(MAX_LISTED) {
        let _ = writeln!(text, "{}", line(note, MAX_SENTENCE));
    }

    match status.problems.len() {
        0 => text.push_str("\nconfig.toml: everything in it is used.\n"),
        _ => text.push_str("\nProblems in config.toml, as FILE:LINE:COLUMN:\n"),
    }
    for problem in status.problems.iter().take(MAX_LISTED) {
        let _ = writeln!(text, "  {}", line(problem, MAX_PROBLEM));
    }
    text.replace('\n', "\r\n")
}

fn addresses(status: &DeviceStatus) -> String {
    let port = port(status.port, 80);
    if status.links.is_empty() {
        return "Network: none yet. Plug in a cable, or name a Wi-Fi network in config.toml."
            .into();
    }
    let hostname = line(&status.hostname, MAX_NAME);
    let name = status.found_as.as_ref().map_or(hostname.clone(), |name| line(name, MAX_NAME));
    let mut text = format!("Watch at http://{name}.local{port}/");
    if status.found_as.is_some() {
        let _ = write!(text, " (another device has the name {hostname}.local)");
    }
    for link in &status.links {
        let kind = if link.wireless { "Wi-Fi" } else { "cable" };
        for address in &link.addresses {
            let _ = match address {
                IpAddr::V4(v4) => write!(text, "\n  or http://{v4}{port}/ (by {kind})"),
                IpAddr::V6(v6) => write!(text, "\n  or http://[{v6}]{port}/ (by {kind})"),
            };
        }
    }
    text
}

/// Where the secure page is, and how to know that it is this device's.
fn secure_page(status: &DeviceStatus, https: &HttpsStatus) -> String {
    let name = line(status.found_as.as_ref().unwrap_or(&status.hostname), MAX_NAME);
    let (port, plain) = (port(https.port, 443), port(status.port, 80));
    let mut text = format!("Secure page: https://{name}.local{port}/");
    if let Some(fingerprint) = &https.fingerprint {
        let fingerprint = line(fingerprint, MAX_SENTENCE);
        let _ = write!(
            text,
            "\n  How browsers are told to trust it: http://{name}.local{plain}/secure\n  The \
             fingerprint (SHA-256) of its certificate:\n  {fingerprint}"
        );
    }
    text
}

/// A port in an address, where it is not the usual one.
fn port(port: u16, usual: u16) -> String {
    if port == usual { String::new() } else { format!(":{port}") }
}

fn camera(status: &DeviceStatus) -> String {
    let report = &status.camera;
    match (&report.fault, &report.name) {
        (Some(fault), _) => format!("Camera: {}.", line(fault, MAX_SENTENCE)),
        (None, Some(name)) => format!("Camera: {}, works.", line(name, MAX_NAME)),
        (None, None) => "Camera: starting.".into(),
    }
}

fn sign_in(status: &DeviceStatus) -> String {
    match (status.locked, status.password_set) {
        (true, _) => "Sign-in: locked until config.toml is fixed as described below.".into(),
        (false, true) => "Sign-in: with the password.".into(),
        (false, false) => {
            "Sign-in: no password is set. Whoever opens the page first sets it: do it now.".into()
        }
    }
}

fn wifi(wifi: &WifiStatus) -> String {
    // Names come from whoever has a transmitter in range.
    let named = |ssid: &str| format!("“{}”", line(ssid, MAX_NAME));
    match wifi {
        WifiStatus::None => "Wi-Fi: none.".into(),
        WifiStatus::Off => "Wi-Fi: off.".into(),
        WifiStatus::Joining { ssid } => format!("Wi-Fi: looking for {}.", named(ssid)),
        WifiStatus::Joined { ssid } => format!("Wi-Fi: joined {}.", named(ssid)),
        WifiStatus::WrongPassword { ssid } => {
            format!("Wi-Fi: the password of {} is wrong. Fix it in config.toml.", named(ssid))
        }
        WifiStatus::NotFound { ssid, in_reach } if in_reach.is_empty() => {
            format!("Wi-Fi: {} is not in range, and no other network is.", named(ssid))
        }
        WifiStatus::NotFound { ssid, in_reach } => {
            let others = in_reach.iter().take(MAX_LISTED).map(|ssid| line(ssid, MAX_NAME));
            let others = line(&others.collect::<Vec<_>>().join(", "), 10 * MAX_SENTENCE);
            format!("Wi-Fi: {} is not in range. In range: {others}.", named(ssid))
        }
        WifiStatus::AccessPoint { ssid, key, address } => format!(
            "Wi-Fi: join the device's own network\n  name      {}\n  password  {}\n\
             and open http://{address}/ to choose a network for it.",
            line(ssid, MAX_NAME),
            line(key, MAX_NAME)
        ),
    }
}

fn update(status: &DeviceStatus) -> String {
    let version = line(status.update.version.as_deref().unwrap_or_default(), MAX_NAME);
    match &status.update.outcome {
        UpdateOutcome::None | UpdateOutcome::Installing { .. } => String::new(),
        UpdateOutcome::Trying => format!("Update {version}: on trial.\n"),
        UpdateOutcome::Kept => format!("Update {version}: installed.\n"),
        UpdateOutcome::FellBack { why } => {
            let why = line(why, MAX_SENTENCE);
            format!("Update {version}: did not work and was undone: {why}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::{BootSlot, CameraReport, LinkStatus, UpdateStatus};

    fn status() -> DeviceStatus {
        DeviceStatus {
            version: "0.1.0".into(),
            board: "picket-rpi64".into(),
            slot: Some(BootSlot::A),
            hostname: "garden".into(),
            port: 80,
            password_set: true,
            links: vec![LinkStatus {
                name: "eth0".into(),
                wireless: false,
                addresses: vec!["192.168.1.7".parse().unwrap(), "fd00::7".parse().unwrap()],
            }],
            camera: CameraReport { name: Some("imx708".into()), fault: None, picture: true },
            ..DeviceStatus::default()
        }
    }

    #[test]
    fn a_device_that_works_says_where_to_look() {
        assert_eq!(
            text(&status()).replace("\r\n", "\n"),
            "Picket 0.1.0 (picket-rpi64), system A\n\n\
             Watch at http://garden.local/\n  or http://192.168.1.7/ (by cable)\n  \
             or http://[fd00::7]/ (by cable)\n\
             Camera: imx708, works.\nSign-in: with the password.\nWi-Fi: none.\n\n\
             config.toml: everything in it is used.\n"
        );
    }

    #[test]
    fn a_device_whose_name_another_one_has_says_by_which_it_is_found() {
        let status = DeviceStatus { found_as: Some("garden-2".into()), ..status() };
        let expected =
            "Watch at http://garden-2.local/ (another device has the name garden.local)\r\n";
        assert!(text(&status).contains(expected), "{}", text(&status));
    }

    #[test]
    fn the_secure_page_is_told_with_what_makes_sure_that_it_is_this_devices() {
        let fingerprint = Some("AB:CD".to_owned());
        let https = Some(HttpsStatus { port: 443, fingerprint });
        let status = DeviceStatus { https, port: 8000, ..status() };
        let expected = "Secure page: https://garden.local/\r\n  How browsers are told to trust it: \
                        http://garden.local:8000/secure\r\n  The fingerprint (SHA-256) of its \
                        certificate:\r\n  AB:CD\r\n";
        assert!(text(&status).contains(expected), "{}", text(&status));
        let https = Some(HttpsStatus { port: 8443, fingerprint: None });
        let text = text(&DeviceStatus { https, ..status });
        assert!(text.contains("Secure page: https://garden.local:8443/\r\nCamera"), "{text}");
    }

    #[test]
    fn what_is_wrong_is_said_in_plain_words() {
        let mut status = status();
        status.links.clear();
        status.locked = true;
        status.camera.fault = Some("the cable is loose".into());
        status.wifi = WifiStatus::WrongPassword { ssid: "home".into() };
        status.problems = vec!["config.toml:3:1: unknown key `x`".into()];
        status.update = UpdateStatus {
            version: Some("0.2.0".into()),
            outcome: UpdateOutcome::FellBack { why: "no picture within 3 minutes".into() },
        };
        let text = text(&status);
        for said in [
            "Network: none yet",
            "Camera: the cable is loose.",
            "Sign-in: locked",
            "the password of “home” is wrong",
            "Update 0.2.0: did not work and was undone: no picture within 3 minutes",
            "  config.toml:3:1: unknown key `x`",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
    }

    #[test]
    fn the_way_into_its_own_network_is_told() {
        let mut status = status();
        status.wifi = WifiStatus::AccessPoint {
            ssid: "Picket-1A2B".into(),
            key: "abcd-efgh-jkmn-pqrs".into(),
            address: [192, 168, 4, 1].into(),
        };
        let text = text(&status);
        assert!(text.contains("Picket-1A2B") && text.contains("abcd-efgh-jkmn-pqrs"), "{text}");
        assert!(text.contains("http://192.168.4.1/"), "{text}");
    }

    #[test]
    fn whatever_it_is_told_the_file_is_plain_lines_of_bounded_length() {
        let hostile = "a\r\nSign-in: with the password.\u{1b}[2J\u{9b}1m\u{7}\u{0}\u{85}\u{2028}\u{2029}\
                       \u{202e}\u{2066}\u{200f}\u{61c}\u{200b}\u{feff}\u{e0041}\u{ad}";
        let hostile = hostile.to_owned() + &"x".repeat(100_000);
        let said = || hostile.clone();
        let mut statuses = vec![status()];
        for wifi in [
            WifiStatus::Joining { ssid: said() },
            WifiStatus::Joined { ssid: said() },
            WifiStatus::WrongPassword { ssid: said() },
            WifiStatus::NotFound { ssid: said(), in_reach: vec![said(); 1000] },
            WifiStatus::AccessPoint { ssid: said(), key: said(), address: [1, 2, 3, 4].into() },
        ] {
            statuses.push(DeviceStatus {
                version: said(),
                board: said(),
                hostname: said(),
                found_as: Some(said()),
                https: Some(HttpsStatus { port: 1, fingerprint: Some(said()) }),
                wifi,
                camera: CameraReport { name: Some(said()), fault: Some(said()), picture: true },
                notes: (0..1000).map(|n| (n.to_string(), said())).collect(),
                problems: vec![said(); 1000],
                update: UpdateStatus {
                    version: Some(said()),
                    outcome: UpdateOutcome::FellBack { why: said() },
                },
                ..status()
            });
        }
        let most = text(&status()).lines().count() + 210;
        for status in statuses {
            let text = text(&status);
            let file = text.replace("\r\n", "\n");
            assert!(!file.contains(|c: char| c != '\n' && !is_visible(c)), "{file:?}");
            assert!(text.len() < 128 * 1024, "{}", text.len());
            assert!(file.lines().count() <= most, "{}", file.lines().count());
            assert!(file.lines().all(|line| line.chars().count() <= 4096), "{file}");
            let claims = file.lines().filter(|line| line.starts_with("Sign-in:")).count();
            assert_eq!(claims, 1, "{file}");
        }
    }

    /// Whether a character is visible, and changes nothing else.
    fn is_visible(c: char) -> bool {
        let hidden = ['\u{ad}', '\u{61c}', '\u{180e}', '\u{feff}'].contains(&c)
            || ('\u{200b}'..='\u{200f}').contains(&c)
            || ('\u{2028}'..='\u{202e}').contains(&c)
            || ('\u{2060}'..='\u{206f}').contains(&c)
            || ('\u{e0000}'..='\u{e0fff}').contains(&c);
        !c.is_control() && !hidden
    }

    #[tokio::test(start_paused = true)]
    async fn the_card_is_written_once_for_many_changes() {
        let folder = tempfile::tempdir().unwrap();
        let boot = BootPartition::at_directory(folder.path());
        let device_state = DeviceState::new(status());
        let (handle, stop) = crate::steward::stop_token::new();
        let writer = tokio::spawn(keep_current(boot.clone(), device_state.clone(), stop));
        for i in 0..20 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            device_state.set_note("test", Some(format!("Note {i}.")));
            assert_eq!(boot.read(NAME).unwrap(), None);
        }
        tokio::time::sleep(Duration::from_secs(6)).await;
        let written = String::from_utf8(boot.read(NAME).unwrap().unwrap()).unwrap();
        assert!(written.contains("Note 19."), "{written}");
        handle.stop();
        writer.await.unwrap();
    }
}
