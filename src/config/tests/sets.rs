//! What the command line sets.

use super::*;

#[test]
fn set_takes_toml_or_a_plain_string() {
    let mut config = Config::default();
    for set in [
        "camera.source=file:clip.mp4",
        "device.hostname = 1234",
        "auth.password=12345678",
        "encoder.bitrate=3M",
        "http.listen=\"0.0.0.0:80\"",
        "http.cors=[\"https://a.example\"]",
        "camera.overlay.text=a = b",
    ] {
        assert_eq!(config.apply_set(set), Ok(()), "{set}");
    }
    assert_eq!(config.camera.source.to_string(), "file:clip.mp4");
    assert_eq!(config.device.hostname.as_str(), "1234");
    assert_eq!(config.camera.overlay.text.as_deref(), Some("a = b"));
    assert!(matches!(config.auth, Auth::Set(_)));
}

/// What `--set`s make of the defaults, and what is told of them.
pub(super) fn set(sets: &[&str]) -> (Config, Vec<String>) {
    let mut config = Config::default();
    let problems = config.apply_sets(sets, &mut Places::default());
    (config, problems.iter().map(ToString::to_string).collect())
}

#[test]
fn set_takes_whatever_stands_in_a_line_of_the_file() {
    let lines = r#"
camera.source = "file:clip.mp4"
camera.width = 1_280
camera.fps = 2.5e1
camera.hflip = true
camera.overlay = { text = "Garden = 1", time = true }
camera.controls.roi = [0.25, 0.25, 0.5, 0.5]
camera.controls.gain = 'auto'
http.cors = ["https://a.example", "https://b.example"]
http.mounts = { "/a" = "/b", "/c" = "/d" }
http.pages."/garden" = "garden.html"
webrtc.ice_servers = [{ urls = ["stun:a.example"] }, { urls = "stun:b.example" }]
wifi.networks = [{ ssid = "shed", password = "correct horse" }]
stream = { max_viewers = 3, keep_warm = true }
led.pin = 0x11
"#;
    let lines: Vec<&str> = lines.trim().lines().collect();
    for line in &lines {
        let loaded = load(line);
        assert_eq!(loaded.problems, [], "{line}");
        assert_ne!(loaded.config, Config::default(), "{line}");
        assert_eq!(set(&[line]), (loaded.config, vec![]), "{line}");
    }
    assert_eq!(set(&lines), (load(&lines.join("\n")).config, vec![]));
}

#[test]
fn every_key_is_set_alike_by_a_line_by_its_section_and_by_set() {
    for key in keys().iter().filter(|key| key.split().0 != "auth") {
        let (section, name) = key.split();
        let default = key.value(&Config::default()).map(|value| value.to_string());
        let value = key.example.map(str::to_owned).or(default).unwrap();
        let by_line = load(&format!("[{section}]\n{name} = {value}")).config;
        for by_set in [format!("{}={value}", key.name), format!("{section}={{{name}={value}}}")] {
            assert_eq!(set(&[&by_set]), (by_line.clone(), vec![]), "{by_set}");
        }
    }
}

#[test]
fn entries_that_are_set_one_by_one_make_one_table() {
    let (config, told) = set(&[
        "http.mounts.\"/a\"=/srv/a",
        "camera.fps=25",
        // As the shell leaves it.
        "http.mounts./b=/srv/b",
        "http.tls.cert=cert.pem",
        "http.tls.key=key.pem",
    ]);
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(config.http.mounts.len(), 2);
    let (cert, key) = ("cert.pem".into(), "key.pem".into());
    assert_eq!(config.http.tls, Tls::Files { cert, key });
    // The whole of it ends what was before.
    let (config, _) = set(&["http.mounts./a=/x", "http.mounts={}", "http.mounts./b=/y"]);
    assert_eq!(config.http.mounts.keys().map(ToString::to_string).collect::<Vec<_>>(), ["/b"]);
    // Half of a table that guards access locks, as in the file.
    assert!(is_locked(&set(&["http.tls.cert=cert.pem"]).0));
}

#[test]
fn what_is_wrong_in_a_table_that_is_set_is_told_and_the_rest_is_used() {
    let (config, told) = set(&["camera={width=640,heigth=480,fps=\"fast\"}"]);
    assert_eq!((config.camera.width, config.camera.fps), (Some(640), None));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().any(|told| told.contains("did you mean `height`?")), "{told:?}");
    assert!(told.iter().any(|told| told.contains("`camera.fps` expects a number")), "{told:?}");
    for (wrong, words) in [
        ("camera.overlay=Garden", "is a section and expects a table"),
        ("camera.overlay={text=}", "is a section and expects a table: "),
        ("http.cors=[https://a.example]", "each entry an exact origin"),
    ] {
        let (config, told) = set(&[wrong]);
        assert_eq!(config, Config::default());
        assert!(told.len() == 1 && told[0].contains(words), "{told:?}");
        assert!(told[0].ends_with("; nothing was changed"), "{told:?}");
    }
    for guarded in ["auth=x", "auth={pasword=\"hunter2hunter2\"}", "auth.password.x=hunter2hunter2"]
    {
        let (config, told) = set(&[guarded]);
        assert!(is_locked(&config), "{guarded}");
        assert!(!told[0].contains("hunter2"), "{told:?}");
    }
}

#[test]
fn a_value_is_found_again_where_it_stands() {
    let loaded = load(
        "[http]\nmounts = { \"/a\" = \"/b\" }\n[webrtc]\nice_servers = [\n\
                       { urls = \"stun:a\" },\n { urls = \"stun:b\" },\n]",
    );
    let place = |key, entry| loaded.places.of_entry(key, entry).to_string();
    assert_eq!(place("http.mounts", "/a"), "config.toml:2:12");
    assert_eq!(place("http.mounts", "/b"), "config.toml:2:10");
    assert_eq!(place("webrtc.ice_servers", "1"), "config.toml:6:2");
    assert_eq!(place("webrtc.udp_port", ""), "webrtc.udp_port");
    let mut places = loaded.places;
    Config::default().apply_sets(&["http.mounts={\"/c\"=\"/d\"}"], &mut places);
    assert_eq!(places.of_entry("http.mounts", "/a").to_string(), "--set http.mounts");
}

#[test]
fn set_tells_its_mistakes_and_changes_nothing() {
    for (set, told) in [
        ("camera.sorce=x", "--set camera.sorce: there is no such key: did you mean `source`?"),
        (
            "encoder.bitrate=fast",
            "--set encoder.bitrate: expects a whole number from 25000 to 50000000, or short such \
             as \"2500k\" or \"2M\", found the string \"fast\"; nothing was changed",
        ),
        ("", "--set : there is no such key"),
    ] {
        let mut config = Config::default();
        let problems = config.apply_set(set).unwrap_err();
        assert_eq!(problems[0].to_string(), told);
        assert_eq!(config, Config::default());
    }
    let mut config = Config::default();
    assert!(config.apply_set("http.cors=[\"*\", \"https://a.example\"]").is_err());
    assert_eq!(config, Config::default());
}

#[test]
fn set_cannot_open_what_a_mistake_has_locked() {
    for mistake in ["auth.password=short", "auth.pasword=hunter2hunter2", "http.tls=yes"] {
        let mut config = Config::default();
        let problems = config.apply_set(mistake).unwrap_err();
        assert!(!problems[0].to_string().contains("hunter2"));
        config.apply_set("auth.password=hunter2hunter2").unwrap();
        assert!(is_locked(&config), "{mistake}");
    }
}

/// What files, each with its key, make of the defaults, and what is told of them.
fn set_files(texts: &[(&str, &str)]) -> (Config, Vec<String>) {
    let mut config = Config::default();
    let texts: Vec<_> = texts.iter().map(|(key, text)| (key, Ok(Secret::new(*text)))).collect();
    let problems = config.apply_texts(&texts, &mut Places::default());
    (config, problems.iter().map(ToString::to_string).collect())
}

#[test]
fn a_file_s_text_is_a_string_as_it_is_and_toml_where_the_key_takes_no_string() {
    for plain in
        ["12345678", "\"a b c d\"", "{ a = 'b' }", "[1, 2, 3]", " spaces ", "'quoted'", "a#bcdefg"]
    {
        let (config, told) = set_files(&[("auth.password", plain)]);
        assert_eq!(told, Vec::<String>::new(), "{plain}");
        let password = config.auth.credentials().and_then(|c| c.password);
        assert_eq!(password, Some(Password::Plain(Secret::new(plain))), "{plain}");
    }
    let (config, told) = set_files(&[
        ("auth.tokens", "[\"zQ7-token-0123456789\",\n  # mine\n  \"zQ7-token-9876543210\"]"),
        ("camera.fps", "25"),
        ("encoder.bitrate", "3M"),
        ("device.hostname", "1234"),
        ("webrtc", "{ udp_port = 9000 }"),
        ("http.mounts./clips", "/srv/clips"),
    ]);
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(config.auth.credentials().map(|c| c.tokens.len()), Some(2));
    assert_eq!((config.camera.fps, config.webrtc.udp_port), (Some(25.0), 9000));
    assert_eq!(config.device.hostname.as_str(), "1234");
    assert_eq!(config.http.mounts.len(), 1);
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing_and_locks_where_it_was_to_guard() {
    for (key, text) in [
        ("auth.password", "zQ7"),
        ("auth.password_hash", "zQ7-password"),
        ("auth.tokens", "zQ7-token-0123456789"),
        ("auth.pasword", "zQ7-password"),
        ("x.password", "zQ7-password"),
        ("camera.x", HASH),
    ] {
        let (config, told) = set_files(&[(key, text)]);
        assert!(is_locked(&config), "{key}: {told:?}");
        assert!(told[0].starts_with("--set-file ") && !told[0].contains("zQ7"), "{told:?}");
    }
    let (config, told) = set_files(&[("camera.fps", "fast")]);
    assert_eq!(config, Config::default());
    assert!(told[0].starts_with("--set-file camera.fps: expects a number"), "{told:?}");
    let mut config = Config::default();
    let missing = [("camera.fps", Err("no file".into())), ("auth.password", Err("no file".into()))];
    let problems = config.apply_texts(&missing, &mut Places::default());
    assert_eq!(problems[0].to_string(), "--set-file camera.fps: no file; nothing was changed");
    assert!(is_locked(&config) && problems[1].to_string().contains("locked"), "{problems:?}");
}

#[test]
fn a_secret_on_the_command_line_is_warned_of_and_nothing_else_is() {
    for secret in [
        "auth.password=hunter2hunter2",
        "auth.password=short",
        "auth.tokens=[\"zQ7-token-0123456789\"]",
        "auth={password=\"hunter2hunter2\"}",
        "wifi.password=hunter2hunter2",
        "wifi.networks=[{ssid=\"a\",password=\"hunter2hunter2\"}]",
        "webrtc={ice_servers=[{urls=\"turn:a\",username=\"a\",credential=\"b\"}]}",
        "camera.source=rtsp://cam:hunter2@10.0.0.9/live",
        "camera.source=gst:rtspsrc",
        "site.download_url=https://files.example/x?key=hunter2",
    ] {
        let told = Config::secrets_in(&[secret]);
        assert_eq!(told.len(), 1, "{secret}");
        let told = told[0].to_string();
        assert!(told.contains("--set-file") && !told.contains("hunter2"), "{told}");
    }
    for plain in [
        "camera.fps=25",
        "camera.source=file:clip.mp4",
        "camera.source=rtsp://10.0.0.9/live",
        "webrtc.ice_servers=[{urls=\"stun:a\"}]",
        "webrtc={udp_port=9000}",
        "wifi.ssid=a",
        "http.listen=0.0.0.0:80",
        "x=1",
    ] {
        assert_eq!(Config::secrets_in(&[plain]), [], "{plain}");
    }
}
