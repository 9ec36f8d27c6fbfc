//! A mistake never makes sign-in weaker, and one that has nothing to do with it leaves it alone.

use super::*;

#[test]
fn a_password_that_was_meant_to_protect_locks_wherever_it_stands() {
    let secret = "hunter2hunter2";
    for text in [
        // The hash of one, under whatever name.
        "[auth]\npassword = \"HASH\"",
        "[auth]\ntokens = [\"HASH\"]",
        "x = \"HASH\"",
        "[led]\nx = \"HASH\"",
        "[camera]\nx = [\"HASH\"]",
        "[x.y]\nz = { a = [1, { b = \" HASH\" }] }",
        "[x]\n\"HASH\" = true",
        "\"HASH\" = true",
        "[wifi]\nssid = \"a\"\npassword = \"HASH\"",
        "[wifi]\nssid = \"a\"\npasword = \"HASH\"",
        "[wifi]\nnetworks = [{ ssid = \"a\", password = \"HASH\" }]",
        "[device]\nhostname = \"HASH\"",
        "[site]\ndata_location = \"HASH\"",
        "[http]\nallowed_hosts = [\"HASH\"]",
        "[http.mounts]\n\"/x\" = \"HASH\"",
        "[http.mounts]\n\"HASH\" = \"/x\"",
        "[[device]]\nx = \"HASH\"",
        "device = \"HASH\"",
        "[x]\ny = \"$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$ZmPrMAJzsQlyBVFB\"",
        // A lost or misspelled section.
        "[atuh]\nx = 1",
        "[auht]\ntokens = [\"SECRETSECRET\"]",
        "[Auth]\npassword = \"SECRET\"",
        "[AUTH]\n",
        "[authentication]\npassword = \"SECRET\"",
        "[authorization]\nx = 1",
        "[auth2]\npw = \"SECRET\"",
        "[ auth . x ]\npassword = \"SECRET\"",
        "[device.auth]\npassword = \"SECRET\"",
        "[camera.overlay.auth]\nx = 1",
        "[\"auth \"]\npassword = \"SECRET\"",
        "[credentials]\nname = \"SECRET\"",
        "[sign_in]\nname = \"SECRET\"",
        "[signin]\nname = \"SECRET\"",
        "[user]\npw = \"SECRET\"",
        "auth.pasword = \"SECRET\"",
        "auth.x = 1",
        "atuh.password = \"SECRET\"",
        "x.auth = 1",
        // A password, a hash or tokens in another section, or in none.
        "password = \"SECRET\"",
        "passwort = \"SECRET\"",
        "kennwort = \"SECRET\"",
        "pw = \"SECRET\"",
        "hash = \"SECRET\"",
        "tokens = [\"SECRETSECRET\"]",
        "password_hash = \"SECRET\"",
        "[camera]\npassword = \"SECRET\"",
        "[camera.controls]\npassword = \"SECRET\"",
        "[http]\npassword = \"SECRET\"",
        "[device]\nhostname = \"a\"\npassword_hash = \"SECRET\"",
        "[wifi]\nssid = \"a\"\ntokens = [\"SECRETSECRET\"]",
        "[wifi]\nssid = \"a\"\npassword_hash = \"SECRET\"",
        "[[wifi.networks]]\nssid = \"a\"\ntokens = [\"SECRETSECRET\"]",
        "[[wifi.networks]]\nssid = \"a\"\npassword_hash = \"SECRET\"",
        "[[webrtc.ice_servers]]\nurls = \"stun:a.example\"\npassword = \"SECRET\"",
        "[[webrtc.ice_servers]]\nurls = \"stun:a.example\"\ntokens = [\"SECRETSECRET\"]",
        "[http.mounts]\n\"/x\" = \"/y\"\npassword = \"SECRET\"",
        "[http.pages]\n\"/x\" = \"y.html\"\ntokens = \"SECRET\"",
        "[http.mounts.auth]\npassword = \"SECRET\"",
        "[camera.overlay]\ntext = \"a\"\npassword = \"SECRET\"",
        "[camera]\noverlay = { text = \"a\", password = \"SECRET\" }",
        "[[device]]\nhostname = \"a\"\npassword = \"SECRET\"",
        "[[camera.fps]]\npassword = \"SECRET\"",
        "[camera.fps]\npassword = \"SECRET\"",
        "[log.level]\ntokens = [\"SECRETSECRET\"]",
        "[ssh]\nauthorized_keys = { password = \"SECRET\" }",
    ] {
        let text = text.replace("HASH", HASH).replace("SECRET", secret);
        let loaded = load(&text);
        assert!(is_locked(&loaded.config), "{text}: {:?}", loaded.problems);
        let refused: Vec<_> = loaded.problems.iter().filter(|p| p.is_refusal()).collect();
        let locks = refused.iter().find(|p| p.message.contains(load::LOCKED));
        let told = locks.unwrap_or_else(|| panic!("{text}: {refused:?}")).to_string();
        assert!(told.contains("[auth]"), "it says what to write: {told}");
        assert!(!told.contains(secret) && !told.contains("argon2id$v"), "{told}");
        // What is at fault stands in the last line, or is the section of the first one.
        let line = locks.and_then(|problem| problem.place.line()).map(|(line, _)| line);
        assert!(line == Some(text.lines().count()) || line == Some(1), "{told}");
    }
    for set in [
        "x=HASH",
        "camera.x=HASH",
        "camera.overlay.text=HASH",
        "site.data_location=HASH",
        "camera={x=\"HASH\"}",
        "http.mounts.password=SECRET",
        "x={password=\"SECRET\"}",
        "x.password=SECRET",
        "password=SECRET",
        "HASH",
        "pw=SECRET",
    ] {
        let assignment = set.replace("HASH", HASH).replace("SECRET", secret);
        let (config, told) = sets::set(&[&assignment]);
        assert!(is_locked(&config), "{set}: {told:?}");
        assert!(told.iter().any(|told| told.contains("[auth]")), "{told:?}");
    }
}

#[test]
fn a_mistake_that_has_nothing_to_do_with_passwords_locks_nothing() {
    for text in [
        "[wifi]\nssid = \"a\"\npasword = \"hunter2hunter2\"",
        "[wifi]\nssid = \"a\"\npassphrase = \"hunter2hunter2\"",
        "[wifi]\nssid = \"a\"\npsk = \"hunter2hunter2\"",
        "[wifi]\nssid = \"a\"\nkey = \"hunter2hunter2\"",
        "[wifi]\nssid = \"a\"\npassword = \"short\"",
        "[wiif]\nssid = \"a\"\npassword = \"hunter2hunter2\"",
        "[Wifi]\nssid = \"a\"\npassword = \"hunter2hunter2\"",
        "[[wifi]]\nssid = \"a\"\npassword = \"hunter2hunter2\"",
        "[wifi]\nnetworks = [{ ssid = \"a\", passwrod = \"hunter2hunter2\" }]",
        "[wifi]\nnetworks = { ssid = \"a\", password = \"hunter2hunter2\" }",
        "[webrtc]\nice_servers = { urls = \"turn:a\", username = \"a\", credential = \"b\" }",
        "[webrtc]\nice_servers = [{ urls = \"turn:a\", user = \"a\", credential = \"b\" }]",
        "[webrtc]\nice_server = [{ urls = \"turn:a\", username = \"a\", credential = \"b\" }]",
        "[http.pages]\n\"/sign-in-here\" = \"password.html\"\n\"x\" = \"y\"",
        "[http.mounts]\n\"/tokens\" = \"/srv/tokens\"\n\"x\" = 1",
        "[http]\ntokens_in_url = true",
        "[camera]\nwidht = 640\nx = \"$5\"",
        "[camera.controls]\nbrightnes = 1",
        "[htpp]\nlisten = \"0.0.0.0:80\"",
        "[led]\npwm = 1\npin = 99",
        "[author]\nname = \"Ada\"",
        "[update]\nautomatic = true",
        "[ssh]\nkeys = [\"ssh-ed25519 AAAA\"]",
        "x = 1\ny = \"$argon\"",
        "[device]\nhostname = \"-\"",
    ] {
        let loaded = load(text);
        assert!(!loaded.problems.is_empty(), "{text}");
        assert_eq!(loaded.config.auth, Auth::Unset, "{text}: {:?}", loaded.problems);
    }
}

#[test]
fn a_mistake_in_auth_locks_instead_of_opening() {
    for text in [
        "auth = \"hunter2hunter2\"",
        "[[auth]]\npassword = \"hunter2hunter2\"",
        "[auth]\npassword = \"short\"",
        "[auth]\npassword = 12345678",
        "[auth]\npassword = \"\"",
        "[auth]\npassword = hunter2hunter2",
        "[auth]\npassword_hash = \"hunter2hunter2\"",
        "[auth]\npasswd = \"hunter2hunter2\"",
        "[auth]\nx = 1",
        "[auth]\ntokens = [\"short\"]",
        "[auth]\npassword = \"hunter2hunter2\"\ntokens = \"abcdefghijklmnop\"",
        "[Auth]\npassword = \"hunter2hunter2\"",
        "[atuh]\npassword = \"hunter2hunter2\"",
        "[secure]\nmy_password = \"hunter2hunter2\"",
        "[http]\npassword = \"hunter2hunter2\"",
        "password = \"hunter2hunter2\"",
        "\"auth.password\" = \"hunter2hunter2\"",
        "[http]\ntls = true",
        "[http]\ntls = { cert = \"a.pem\" }",
        "[http.tls]\ncert = \"a.pem\"\nkye = \"b.pem\"",
        "[http]\ntsl = { cert = \"a.pem\", key = \"b.pem\" }",
        "[[http]]\ntls = { cert = \"a.pem\", key = \"b.pem\" }",
        "[htpp.tls]\ncert = \"a.pem\"\nkey = \"b.pem\"",
    ] {
        let loaded = load(text);
        assert!(is_locked(&loaded.config), "{text}: {:?}", loaded.config.auth);
        assert!(loaded.any_refused(), "{text}");
        for problem in loaded.problems {
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
    }
}

#[test]
fn giving_both_a_password_and_a_hash_locks() {
    let hash =
        "'$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$ZmPrMAJzsQlyBVFBUWOZZ5T0KAJAtvPtD8C2LVg2STU'";
    let loaded = load(&format!("[auth]\npassword = \"hunter2hunter2\"\npassword_hash = {hash}\n"));
    assert!(is_locked(&loaded.config));
    assert!(loaded.problems[0].to_string().starts_with("config.toml:3:1: "));
    assert!(matches!(
        load(&format!("[auth]\npassword_hash = {hash}")).config.auth,
        Auth::Set(Credentials { password: Some(Password::Hash(_)), .. })
    ));
}

#[test]
fn mistakes_elsewhere_leave_sign_in_as_it_was() {
    let text = "[auth]\npassword = \"hunter2hunter2\"\n[http]\nlisten = \"0.0.0.0\"\nlisen = 1\n\
                [wifi]\npasword = \"hunter2hunter2\"\n[encoder]\nbitrate = true\n[campera]\nx = 1";
    let loaded = load(text);
    assert_eq!(loaded.problems.len(), 5);
    assert!(matches!(loaded.config.auth, Auth::Set(_)));
    assert!(loaded.config.http.listen.ip().is_loopback());
    assert_eq!(load("[auth]\n# nothing yet\n").config.auth, Auth::Unset);
}
