//! What the network promises, without a radio or a kernel to change.

use std::path::Path;

use super::*;
use crate::appliance::DeviceStatus;
use crate::config::Secret;

/// The network of a machine without links, with these names in its `config.toml`.
fn controller(folder: &Path, names: &[&str]) -> NetworkController {
    let named = |name: &&str| WifiNetwork {
        ssid: name.parse().unwrap(),
        password: Some(Secret::new("its passphrase")),
        hidden: false,
    };
    let config = crate::config::Config::default();
    let networks = names.iter().map(named).collect();
    let settings = NetworkSettings {
        wifi: Wifi { networks, ..config.wifi },
        ip: config.network,
        hostname: config.device.hostname,
        passphrase: "abcd-efgh-jkmn-pqrs".into(),
        runtime_dir: folder.to_owned(),
    };
    let device_state = DeviceState::new(DeviceStatus::default());
    // Nothing is asked of it here.
    let (netlink, _) = Netlink::open().unwrap();
    NetworkController::new(settings, BootPartition::at_directory(folder), device_state, netlink)
}

/// What is noted on Wi-Fi.
fn note(network: &NetworkController) -> Option<String> {
    network.device_state.get().notes.get("wifi").cloned()
}

#[tokio::test]
async fn a_static_address_goes_with_the_choice_of_a_network_now_as_after_a_restart() {
    let link = |name: &str, wireless| Link { name: name.into(), index: 0, wireless, carrier: true };
    let (cable, air) = (link("eth9", false), link("wlan9", true));
    let folder = tempfile::tempdir().unwrap();
    let mut network = controller(folder.path(), &[]);
    network.wifi = Some(WifiInterface::new("wlan9", None, folder.path()));
    let fixed = ("192.168.1.20".parse().unwrap(), 24);
    network.ip.set_static_address(fixed.0, fixed.1);
    assert_eq!(network.static_address(&cable), Some(fixed), "no network is named");

    let (reply, mut replied) = oneshot::channel();
    let join = JoinRequest { ssid: "home".into(), password: None, hidden: false, country: None };
    network.join(&join, reply);
    let addressed = network.handle_joined(vec![cable.clone(), air.clone()]);
    assert_eq!(replied.try_recv(), Ok(Ok(())));
    assert_eq!(addressed, [cable.clone(), air.clone()]);
    assert_eq!(network.static_address(&air), Some(fixed));
    assert_eq!(network.static_address(&cable), None);
    let file = std::fs::read_to_string(folder.path().join("config.toml")).unwrap();
    assert!(file.contains("\"home\""), "{file}");

    // The cable keeps what it has when the network is joined again.
    assert_eq!(network.handle_joined(vec![cable, air.clone()]), [air]);
}

#[tokio::test]
async fn the_network_whose_password_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = controller(folder.path(), &["home", "garden"]);
    network.wifi = Some(WifiInterface::new("wlan9", None, folder.path()));
    network.mode = WifiMode::Named;
    let refused = |ssid: &str| SupplicantEvent::PasswordRefused { ssid: ssid.to_owned() };
    for ssid in ["home", "garden", "garden"] {
        network.handle_supplicant_event(refused(ssid)).await;
    }
    network.publish_status();
    let wrong = WifiStatus::WrongPassword { ssid: "garden".into() };
    assert_eq!(network.device_state.get().wifi, wrong);
    assert_eq!(note(&network), None, "home may still be joined");
    network.handle_supplicant_event(refused("home")).await;
    let told = note(&network).unwrap();
    assert!(told.contains("“home” is wrong") && told.contains("“garden” is wrong"), "{told}");

    // Fixed at the router, after which the named ones are tried again.
    (network.wifi, network.mode) = (None, WifiMode::Named);
    network.handle_supplicant_event(SupplicantEvent::Connected).await;
    assert_eq!(note(&network), None);
}

#[test]
fn neighbours_that_come_and_go_do_not_wear_the_card() {
    let seen = |names: &[String]| -> Vec<SeenNetwork> {
        let seen = |(i, ssid): (usize, &String)| {
            let signal = -40 - i32::try_from(i).unwrap();
            SeenNetwork { ssid: ssid.clone(), signal, open: false }
        };
        names.iter().enumerate().map(seen).collect()
    };
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut listed = BTreeSet::new();
    add_seen(&mut listed, seen(&names(&["hom", "garden"])));
    let first = listed.clone();
    assert_eq!(first.iter().collect::<Vec<_>>(), ["garden", "hom"]);
    // In another order, without one, without any.
    for again in [&["garden", "hom"][..], &["hom"], &[]] {
        add_seen(&mut listed, seen(&names(again)));
        assert_eq!(listed, first);
    }
    // A telephone or two that pass by are listed, a street of them is not.
    for telephone in 0..100 {
        add_seen(&mut listed, seen(&[format!("telephone {telephone}")]));
    }
    assert_eq!(listed.len(), MAX_SEEN);
    assert!(listed.is_superset(&first));
}
