//! The entry point for fuzzers: any input, and a panic if a promise of this room is broken.

use std::collections::BTreeSet;

use super::{
    Auth, Completeness, Config, Loaded, PasswordHash, Secret, Source, Wifi, WifiNetwork, edit,
    keys, misplaced,
};

/// Loads any bytes and checks what must hold for all of them.
///
/// # Panics
/// When it does not.
pub fn load(bytes: &[u8]) -> Loaded {
    let loaded = Config::load(bytes, "config.toml");
    let default = Config::default();

    let locked = matches!(loaded.config.auth, Auth::Locked { .. });
    assert!(
        locked || loaded.completeness == Completeness::Complete,
        "a file that cannot be read must lock"
    );
    assert!(
        loaded.completeness == Completeness::Complete || loaded.any_refused(),
        "a partial read must be reported"
    );
    for problem in &loaded.problems {
        let told = problem.to_string();
        assert!(!told.contains(char::is_control), "a problem is one line: {told:?}");
        assert!(told.len() < 2000, "a problem is short: {told}");
    }

    // What was read can be written and read again: the two directions agree.
    for key in keys().iter().filter(|key| !key.same(&default, &loaded.config)) {
        let Some(value) = key.value(&loaded.config) else {
            continue;
        };
        let written = value.to_string();
        // Credentials are not written, nor are other secrets and URLs that may hold one. What looks
        // like the hash of a password is told wherever it stands, and not set.
        let unwritten = written.contains("(secret)") || written.contains("/…");
        if key.name.starts_with("auth.") || unwritten || misplaced::is_hash(&written) {
            continue;
        }
        let mut again = default.clone();
        let taken = again.apply_set(&format!("{}={written}", key.name));
        assert!(taken.is_ok() && key.same(&again, &loaded.config), "{} = {written}", key.name);
    }
    cameras(&loaded.config);
    if loaded.completeness == Completeness::Complete {
        edited(bytes, &loaded.config);
    }
    if !loaded.any_refused() {
        joined(bytes, &loaded.config);
    }
    loaded
}

/// Further cameras can be told apart, and stay the same when they are written and read again.
fn cameras(config: &Config) {
    let names: BTreeSet<_> = config.all_cameras().map(|camera| camera.name).collect();
    assert_eq!(names.len(), 1 + config.cameras.len(), "{names:?}");
    let secret =
        |source: &Source| matches!(source, Source::Url(_) | Source::Page(_) | Source::Gst(_));
    if config.cameras.iter().any(|camera| secret(&camera.camera.source)) {
        return;
    }
    let written: Vec<_> = config.cameras.iter().map(|camera| camera.to_table().into()).collect();
    let written = toml::Value::Array(written).to_string();
    if misplaced::is_hash(&written) {
        return;
    }
    let mut again = Config::default();
    let taken = again.apply_set(&format!("cameras={written}"));
    assert!(taken.is_ok() && again.cameras == config.cameras, "{taken:?}: {written}");
}

/// Changes a file that can be read to its end: that works, unless what prevents it was reported, and
/// changes nothing else.
fn edited(bytes: &[u8], before: &Config) {
    let hash: PasswordHash = HASH.parse().expect("it is a hash");
    match edit::set_password(bytes, &hash) {
        Ok(file) => {
            let after = Config::load(file.as_bytes(), "config.toml");
            assert_eq!(
                after.completeness,
                Completeness::Complete,
                "{:?} in {file}",
                after.problems
            );
            let other = Config { auth: before.auth.clone(), ..after.config };
            assert_eq!(other, *before, "another setting has changed: {file}");
        }
        Err(edit::EditError::NoSection(_)) => assert!(matches!(before.auth, Auth::Locked { .. })),
        Err(error) => assert_eq!(error, edit::EditError::TooLarge),
    }
    if before.device.factory_reset {
        let file = edit::clear_factory_reset(bytes).expect("it is there to be taken out");
        let after = Config::load(file.as_bytes(), "config.toml");
        assert_eq!(after.completeness, Completeness::Complete, "{:?} in {file}", after.problems);
        let mut wanted = before.clone();
        wanted.device.factory_reset = false;
        // Lines, and with them the places in messages, may have moved.
        wanted.auth = after.config.auth.clone();
        assert_eq!(after.config, wanted, "another setting has changed: {file}");
    }
}

/// The hash of a password that nobody has.
pub(super) const HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$ZmPrMAJzsQlyBVFBUWOZZ5T0KAJAtvPtD8C2LVg2STU";

/// Writes a network that was joined into a file without mistakes: no other network is lost, and nothing
/// else changes.
fn joined(bytes: &[u8], before: &Config) {
    let network = WifiNetwork {
        ssid: "of the \"house\"".parse().expect("it is a name"),
        password: Some(Secret::new("correct horse")),
        hidden: false,
    };
    let file = match edit::set_network(bytes, &network, None) {
        Ok(file) => file,
        Err(edit::EditError::NoRoom | edit::EditError::TooLarge) => return,
        Err(error) => panic!("a file that can be read can be changed: {error}"),
    };
    let after = Config::load(file.as_bytes(), "config.toml");
    assert!(!after.any_refused(), "{:?} in {file}", after.problems);
    let all: Vec<WifiNetwork> = after.config.wifi.all().collect();
    assert_eq!(all.first(), Some(&network), "{file}");
    for other in before.wifi.all().filter(|other| other.ssid != network.ssid) {
        assert!(all.contains(&other), "{other:?} is lost: {file}");
    }
    let same = |config: &Config| {
        Config { wifi: Wifi::default(), ..config.clone() }
            == Config { wifi: Wifi::default(), ..before.clone() }
    };
    assert!(same(&after.config), "another setting has changed: {file}");
}
