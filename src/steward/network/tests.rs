//! What the network promises, without a radio or a kernel to change.

use super::*;
use crate::appliance::DeviceStatus;

/// A network on a machine without links, with these names in its `config.toml`.
fn network(folder: &Path, names: &[&str]) -> Network {
    let named = |name: &&str| WifiNetwork {
        ssid: name.parse().unwrap(),
        password: Some(Secret::new("its passphrase")),
        hidden: false,
    };
    let config = crate::config::Config::default();
    let networks = names.iter().map(named).collect();
    let settings = Settings {
        wifi: Wifi { networks, ..config.wifi },
        fixed: config.network,
        hostname: config.device.hostname,
        own_key: random_key().unwrap(),
        run: folder.to_owned(),
    };
    let notices = Notices::new(DeviceStatus::default());
    // Nothing is asked of it here.
    let (kernel, _) = Kernel::open().unwrap();
    Network::new(settings, Owner::folder(folder), notices, kernel)
}

/// What is noted on Wi-Fi.
fn note(network: &Network) -> Option<String> {
    network.notices.now().notes.get("wifi").cloned()
}

#[tokio::test]
async fn a_static_address_goes_with_the_choice_of_a_network_now_as_after_a_restart() {
    let link = |name: &str, wireless| Link { name: name.into(), index: 0, wireless, carrier: true };
    let (cable, air) = (link("eth9", false), link("wlan9", true));
    let folder = tempfile::tempdir().unwrap();
    let mut network = network(folder.path(), &[]);
    network.radio = Some(Radio::new("wlan9", None, folder.path()));
    let fixed = ("192.168.1.20".parse().unwrap(), 24);
    network.settings.fixed.address = Address::Static { address: fixed.0, prefix: fixed.1 };
    assert_eq!(network.fixed_address(&cable), Some(fixed), "no network is named");

    let (answer, mut answered) = oneshot::channel();
    let join = Join { ssid: "home".into(), password: None, hidden: false, country: None };
    network.join(&join, answer);
    let addressed = network.arrived(vec![cable.clone(), air.clone()]);
    assert_eq!(answered.try_recv(), Ok(Ok(())));
    assert_eq!(addressed, [cable.clone(), air.clone()]);
    assert_eq!(network.fixed_address(&air), Some(fixed));
    assert_eq!(network.fixed_address(&cable), None);
    let file = std::fs::read_to_string(folder.path().join("config.toml")).unwrap();
    assert!(file.contains("\"home\""), "{file}");

    // The cable keeps what it has when the network is joined again.
    assert_eq!(network.arrived(vec![cable, air.clone()]), [air]);
}

#[tokio::test]
async fn the_network_whose_password_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = network(folder.path(), &["home", "garden"]);
    network.radio = Some(Radio::new("wlan9", None, folder.path()));
    network.doing = Mode::Named;
    let refused = |ssid: &str| News::Refused { ssid: ssid.to_owned() };
    for ssid in ["home", "garden", "garden"] {
        network.hear(refused(ssid)).await;
    }
    network.tell();
    let wrong = WifiStatus::WrongPassword { ssid: "garden".into() };
    assert_eq!(network.notices.now().wifi, wrong);
    assert_eq!(note(&network), None, "home may still be joined");
    network.hear(refused("home")).await;
    let told = note(&network).unwrap();
    assert!(told.contains("“home” is wrong") && told.contains("“garden” is wrong"), "{told}");

    // Mended at the router, after which the named ones are tried again.
    (network.radio, network.doing) = (None, Mode::Named);
    network.hear(News::Joined).await;
    assert_eq!(note(&network), None);
}

#[test]
fn no_two_devices_have_the_same_key() {
    let (one, two) = (random_key().unwrap(), random_key().unwrap());
    assert_ne!(one, two);
    assert_eq!(one.len(), 19);
    assert!(crate::config::is_wifi_password(&one), "{one}");
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
    let mut strangers = BTreeSet::new();
    add_strangers(&mut strangers, seen(&names(&["hom", "garden"])));
    let first = strangers.clone();
    assert_eq!(first.iter().collect::<Vec<_>>(), ["garden", "hom"]);
    // In another order, without one, without any.
    for again in [&["garden", "hom"][..], &["hom"], &[]] {
        add_strangers(&mut strangers, seen(&names(again)));
        assert_eq!(strangers, first);
    }
    // A telephone or two that go by are told, a street of them is not.
    for telephone in 0..100 {
        add_strangers(&mut strangers, seen(&[format!("telephone {telephone}")]));
    }
    assert_eq!(strangers.len(), STRANGERS);
    assert!(strangers.is_superset(&first));
}
