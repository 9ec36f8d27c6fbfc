//! `picket-status.txt` on the owner's partition: what the device would say if it could speak. It is
//! written only when what it says has changed.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use super::notices::Notices;
use super::owner::Owner;
use super::plain::{NAME, SENTENCE, line};
use super::stop::Stop;
use crate::appliance::{DeviceStatus, Outcome, WifiStatus};

const FILE: &str = "picket-status.txt";

/// What changes has to stay as it is for so long before it is written: at the start much changes
/// within seconds, and the card wears.
const SETTLED: Duration = Duration::from_secs(5);

/// Never more often than this.
const APART: Duration = Duration::from_secs(60);

/// Writes the file whenever it is not what it should be, until `stop`.
pub(super) async fn keep(owner: Owner, notices: Notices, mut stop: Stop) {
    let mut changes = notices.watch();
    let write = |status: &DeviceStatus| {
        if let Err(error) = owner.write(FILE, text(status).as_bytes()) {
            log::warn!("{FILE} cannot be written: {error}");
        }
    };
    loop {
        // Waits until nothing has changed for a while.
        while let Ok(Ok(())) = tokio::time::timeout(SETTLED, changes.changed()).await {
            if stop.is_given() {
                break;
            }
        }
        let status = changes.borrow_and_update().clone();
        write(&status);
        tokio::select! {
            () = tokio::time::sleep(APART) => {}
            () = stop.wait() => break,
        }
        tokio::select! {
            _ = changes.changed() => {}
            () = stop.wait() => break,
        }
    }
    write(&notices.now());
}

/// Most characters of a problem with the configuration, which says what was expected.
const PROBLEM: usize = 600;

/// Most notes, problems and networks in reach that are told.
const MOST: usize = 100;

/// The file's text. Line ends are those of the computer that is most likely to show it. Much of it
/// comes from the daemon, from the radio and from bundles, and a person reads it with any program:
/// each text is made plain where it gets in.
fn text(status: &DeviceStatus) -> String {
    let mut text = String::new();
    let slot = status.slot.map(|slot| format!(", system {slot}")).unwrap_or_default();
    let (version, board) = (line(&status.version, NAME), line(&status.board, NAME));
    let _ = writeln!(text, "Picket {version} ({board}){slot}\n");

    let _ = writeln!(text, "{}", addresses(status));
    let _ = writeln!(text, "{}", camera(status));
    let _ = writeln!(text, "{}", sign_in(status));
    let _ = writeln!(text, "{}", wifi(&status.wifi));
    let _ = write!(text, "{}", update(status));
    for note in status.notes.values().take(MOST) {
        let _ = writeln!(text, "{}", line(note, SENTENCE));
    }

    match status.problems.len() {
        0 => text.push_str("\nconfig.toml: everything in it is used.\n"),
        _ => text.push_str("\nconfig.toml, as FILE:LINE:COLUMN:\n"),
    }
    for problem in status.problems.iter().take(MOST) {
        let _ = writeln!(text, "  {}", line(problem, PROBLEM));
    }
    text.replace('\n', "\r\n")
}

fn addresses(status: &DeviceStatus) -> String {
    let port = match status.port {
        80 => String::new(),
        port => format!(":{port}"),
    };
    if status.links.is_empty() {
        return "Network: none so far. Plug in a cable, or name a network in config.toml.".into();
    }
    let hostname = line(&status.hostname, NAME);
    let name = status.found_as.as_ref().map_or(hostname.clone(), |name| line(name, NAME));
    let mut text = format!("Watch at http://{name}.local{port}/");
    if status.found_as.is_some() {
        let _ = write!(text, " (another device is {hostname}.local)");
    }
    for link in &status.links {
        let kind = if link.wireless { "radio" } else { "cable" };
        for address in &link.addresses {
            let _ = match address {
                IpAddr::V4(v4) => write!(text, "\n  or http://{v4}{port}/ (by {kind})"),
                IpAddr::V6(v6) => write!(text, "\n  or http://[{v6}]{port}/ (by {kind})"),
            };
        }
    }
    text
}

fn camera(status: &DeviceStatus) -> String {
    let report = &status.camera;
    match (&report.fault, &report.name) {
        (Some(fault), _) => format!("Camera: {}.", line(fault, SENTENCE)),
        (None, Some(name)) => format!("Camera: {}, works.", line(name, NAME)),
        (None, None) => "Camera: being started.".into(),
    }
}

fn sign_in(status: &DeviceStatus) -> String {
    match (status.locked, status.password_set) {
        (true, _) => "Sign-in: locked, until config.toml is mended as said below.".into(),
        (false, true) => "Sign-in: with the password.".into(),
        (false, false) => {
            "Sign-in: no password is set. Who opens the page first sets it: do it now.".into()
        }
    }
}

fn wifi(wifi: &WifiStatus) -> String {
    // Names come from whoever has a radio in reach.
    let named = |ssid: &str| format!("“{}”", line(ssid, NAME));
    match wifi {
        WifiStatus::None => "Radio: none.".into(),
        WifiStatus::Off => "Radio: off.".into(),
        WifiStatus::Joining { ssid } => format!("Radio: looking for {}.", named(ssid)),
        WifiStatus::Joined { ssid } => format!("Radio: joined {}.", named(ssid)),
        WifiStatus::WrongPassword { ssid } => {
            format!("Radio: the password of {} is wrong. Mend it in config.toml.", named(ssid))
        }
        WifiStatus::NotFound { ssid, in_reach } if in_reach.is_empty() => {
            format!("Radio: {} is not in reach, and no other network is.", named(ssid))
        }
        WifiStatus::NotFound { ssid, in_reach } => {
            let others = in_reach.iter().take(MOST).map(|ssid| line(ssid, NAME));
            let others = line(&others.collect::<Vec<_>>().join(", "), 10 * SENTENCE);
            format!("Radio: {} is not in reach. In reach: {others}.", named(ssid))
        }
        WifiStatus::AccessPoint { ssid, key, address } => format!(
            "Radio: join the device's own network\n  name      {}\n  password  {}\n\
             and open http://{address}/ to tell it which network to join.",
            line(ssid, NAME),
            line(key, NAME)
        ),
    }
}

fn update(status: &DeviceStatus) -> String {
    let version = line(status.update.version.as_deref().unwrap_or_default(), NAME);
    match &status.update.outcome {
        Outcome::None | Outcome::Installing { .. } => String::new(),
        Outcome::Trying => format!("Update {version}: being tried.\n"),
        Outcome::Kept => format!("Update {version}: installed.\n"),
        Outcome::FellBack { why } => {
            let why = line(why, SENTENCE);
            format!("Update {version}: did not work and was undone: {why}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::{CameraReport, LinkStatus, Slot, UpdateStatus};

    fn status() -> DeviceStatus {
        DeviceStatus {
            version: "0.1.0".into(),
            board: "picket-rpi64".into(),
            slot: Some(Slot::A),
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
             Camera: imx708, works.\nSign-in: with the password.\nRadio: none.\n\n\
             config.toml: everything in it is used.\n"
        );
    }

    #[test]
    fn a_device_whose_name_another_one_has_says_by_which_it_is_found() {
        let status = DeviceStatus { found_as: Some("garden-2".into()), ..status() };
        let said = "Watch at http://garden-2.local/ (another device is garden.local)\r\n";
        assert!(text(&status).contains(said), "{}", text(&status));
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
            outcome: Outcome::FellBack { why: "no picture within 3 minutes".into() },
        };
        let text = text(&status);
        for said in [
            "Network: none so far",
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
                wifi,
                camera: CameraReport { name: Some(said()), fault: Some(said()), picture: true },
                notes: (0..1000).map(|n| (n.to_string(), said())).collect(),
                problems: vec![said(); 1000],
                update: UpdateStatus {
                    version: Some(said()),
                    outcome: Outcome::FellBack { why: said() },
                },
                ..status()
            });
        }
        let most = text(&status()).lines().count() + 210;
        for status in statuses {
            let text = text(&status);
            let file = text.replace("\r\n", "\n");
            assert!(!file.contains(|c: char| c != '\n' && !plain(c)), "{file:?}");
            assert!(text.len() < 128 * 1024, "{}", text.len());
            assert!(file.lines().count() <= most, "{}", file.lines().count());
            assert!(file.lines().all(|line| line.chars().count() <= 4096), "{file}");
            let claims = file.lines().filter(|line| line.starts_with("Sign-in:")).count();
            assert_eq!(claims, 1, "{file}");
        }
    }

    /// A character that shows itself, and changes nothing else.
    fn plain(c: char) -> bool {
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
        let owner = Owner::folder(folder.path());
        let notices = Notices::new(status());
        let (stop, stopped) = crate::steward::stop::sign();
        let keeper = tokio::spawn(keep(owner.clone(), notices.clone(), stopped));
        for i in 0..20 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            notices.note("test", Some(format!("Note {i}.")));
            assert_eq!(owner.read(FILE).unwrap(), None);
        }
        tokio::time::sleep(Duration::from_secs(6)).await;
        let written = String::from_utf8(owner.read(FILE).unwrap().unwrap()).unwrap();
        assert!(written.contains("Note 19."), "{written}");
        stop.stop();
        keeper.await.unwrap();
    }
}
