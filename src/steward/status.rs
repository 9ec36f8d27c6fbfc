//! `picket-status.txt` on the owner's partition: what the device would say if it could speak. It is
//! written only when what it says has changed.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use super::notices::Notices;
use super::owner::Owner;
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

/// The file's text. Line ends are those of the computer that is most likely to show it.
fn text(status: &DeviceStatus) -> String {
    let mut text = String::new();
    let slot = status.slot.map(|slot| format!(", system {slot}")).unwrap_or_default();
    let _ = writeln!(text, "Picket {} ({}){slot}\n", status.version, status.board);

    let _ = writeln!(text, "{}", addresses(status));
    let _ = writeln!(text, "{}", camera(status));
    let _ = writeln!(text, "{}", sign_in(status));
    let _ = writeln!(text, "{}", wifi(&status.wifi));
    let _ = write!(text, "{}", update(status));
    for note in status.notes.values() {
        let _ = writeln!(text, "{note}");
    }

    match status.problems.len() {
        0 => text.push_str("\nconfig.toml: everything in it is used.\n"),
        _ => text.push_str("\nconfig.toml, as FILE:LINE:COLUMN:\n"),
    }
    for problem in &status.problems {
        let _ = writeln!(text, "  {problem}");
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
    let name = status.found_as.as_ref().unwrap_or(&status.hostname);
    let mut text = format!("Watch at http://{name}.local{port}/");
    if status.found_as.is_some() {
        let _ = write!(text, " (another device is {}.local)", status.hostname);
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
        (Some(fault), _) => format!("Camera: {fault}."),
        (None, Some(name)) => format!("Camera: {name}, works."),
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
    match wifi {
        WifiStatus::None => "Radio: none.".into(),
        WifiStatus::Off => "Radio: off.".into(),
        WifiStatus::Joining { ssid } => format!("Radio: looking for “{ssid}”."),
        WifiStatus::Joined { ssid } => format!("Radio: joined “{ssid}”."),
        WifiStatus::WrongPassword { ssid } => {
            format!("Radio: the password of “{ssid}” is wrong. Mend it in config.toml.")
        }
        WifiStatus::NotFound { ssid, in_reach } if in_reach.is_empty() => {
            format!("Radio: “{ssid}” is not in reach, and no other network is.")
        }
        WifiStatus::NotFound { ssid, in_reach } => {
            format!("Radio: “{ssid}” is not in reach. In reach: {}.", in_reach.join(", "))
        }
        WifiStatus::AccessPoint { ssid, key, address } => format!(
            "Radio: join the device's own network\n  name      {ssid}\n  password  {key}\n\
             and open http://{address}/ to tell it which network to join."
        ),
    }
}

fn update(status: &DeviceStatus) -> String {
    let version = status.update.version.as_deref().unwrap_or_default();
    match &status.update.outcome {
        Outcome::None | Outcome::Installing { .. } => String::new(),
        Outcome::Trying => format!("Update {version}: being tried.\n"),
        Outcome::Kept => format!("Update {version}: installed.\n"),
        Outcome::FellBack { why } => {
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
