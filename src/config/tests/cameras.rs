//! `[[cameras]]`: the cameras beside that of `[camera]`.

use super::*;

/// An entry of this name, with more lines in it.
fn entry(name: &str, lines: &str) -> String {
    format!("[[cameras]]\nname = \"{name}\"\nsource = \"pattern\"\n{lines}\n")
}

/// The names of the further cameras.
fn names(config: &Config) -> Vec<&str> {
    config.cameras.iter().map(|camera| camera.name.as_str()).collect()
}

fn name(text: &str) -> CameraName {
    text.parse().unwrap()
}

#[test]
fn a_further_camera_takes_every_key_that_main_takes_in_the_same_way() {
    for key in keys().iter().filter(|key| key.name_in_entry().is_some()) {
        let default = key.value(&Config::default()).map(|value| value.to_string());
        let mut value = key.example.map(str::to_owned).or(default).unwrap();
        if key.name == "camera.source" {
            // Not that of `main`, which would be warned of.
            value = "\"file:clip.mp4\"".to_owned();
        }
        let in_main = load(&format!("{} = {value}\n", key.name)).config;
        let name = key.name_in_entry().unwrap();
        let (table, leaf) = name.rsplit_once('.').unwrap_or(("", name));
        let start = "[[cameras]]\nname = \"x\"\n";
        let start = if name == "source" { start.to_owned() } else { entry("x", "") };
        let inline = format!("{start}{name} = {value}\n");
        let section = match table {
            "" => inline.clone(),
            _ => format!("{start}[cameras.{table}]\n{leaf} = {value}\n"),
        };
        for file in [inline, section] {
            let loaded = load(&file);
            assert_eq!(loaded.problems, [], "{file}");
            let [camera] = &loaded.config.cameras[..] else { panic!("{file}") };
            let mut expected = Camera { source: Source::Pattern, ..in_main.camera.clone() };
            if name == "source" {
                expected.source = in_main.camera.source.clone();
            }
            assert_eq!((&camera.camera, &camera.encoder), (&expected, &in_main.encoder), "{file}");
            // And `main` has nothing of it.
            let rest = Config { cameras: Vec::new(), ..loaded.config.clone() };
            assert_eq!(rest, Config::default());
        }
    }
}

#[test]
fn a_further_camera_has_the_defaults_of_the_program_and_not_the_values_of_main() {
    let file = "[camera]\nwidth = 640\nrotation = 90\n[encoder]\nbitrate = \"9M\"\n";
    let config = load(&(file.to_owned() + &entry("x", ""))).config;
    let expected = Camera { source: Source::Pattern, ..Camera::default() };
    assert_eq!(config.cameras[0].camera, expected);
    assert_eq!(config.cameras[0].encoder, Encoder::default());
}

#[test]
fn an_inline_list_and_a_table_for_the_encoder_are_read_as_well() {
    let tables = entry("a", "bitrate = \"1M\"\nhflip = true") + &entry("b", "");
    for file in [
        "cameras = [{ name = \"a\", source = \"pattern\", bitrate = \"1M\", hflip = true },\n\
         { name = \"b\", source = \"pattern\" }]"
            .to_owned(),
        entry("a", "encoder = { bitrate = \"1M\" }\nhflip = true") + &entry("b", ""),
        entry("a", "hflip = true\n[cameras.encoder]\nbitrate = 1_000_000") + &entry("b", ""),
    ] {
        let loaded = load(&file);
        assert_eq!(loaded.problems, [], "{file}");
        assert_eq!(loaded.config, load(&tables).config, "{file}");
    }
    let twice = told(&entry("a", "bitrate = \"1M\"\nencoder.bitrate = \"2M\""));
    assert_eq!(twice.len(), 1);
    assert!(twice[0].starts_with("config.toml:5:9: `cameras.a.bitrate` is set twice"), "{twice:?}");
}

#[test]
fn a_camera_without_a_name_or_a_source_of_its_own_is_left_out_and_the_others_stay() {
    let hex = "0123456789abcdef0123456789abcdef";
    for (wrong, place, words) in [
        ("name = \"x\"", "4:1", "`cameras.x` needs a `source`"),
        ("source = \"pattern\"", "4:1", "needs a `name`"),
        ("name = \"x\"\nsource = \"v4l3:x\"", "6:10", "`cameras.x.source` expects"),
        ("name = 5\nsource = \"pattern\"", "5:8", "the number 5"),
        ("name = \"Back\"\nsource = \"pattern\"", "5:8", "write it in lower case, \"back\""),
        ("name = \"a b\"\nsource = \"pattern\"", "5:8", "a-z, 0-9, - and _"),
        ("name = \"main\"\nsource = \"pattern\"", "5:8", "the camera of [camera]"),
        ("name = \"0\"\nsource = \"pattern\"", "5:8", "the first camera"),
        (&format!("name = \"{hex}\"\nsource = \"pattern\""), "5:8", "a session"),
        ("name = \"first\"\nsource = \"file:x\"", "4:1", "has the name `first` already, in line 1"),
    ] {
        let file = entry("first", "") + "[[cameras]]\n" + wrong + "\n" + &entry("last", "");
        let file = file.replace("\n\n", "\n");
        let loaded = load(&file);
        assert_eq!(names(&loaded.config), ["first", "last"], "{file}");
        let [problem] = &loaded.problems[..] else { panic!("{file}: {:?}", loaded.problems) };
        let told = problem.to_string();
        assert!(told.starts_with(&format!("config.toml:{place}: ")), "{told}");
        assert!(told.contains(words) && told.ends_with("left out"), "{told}");
        assert!(problem.is_refusal());
        assert_eq!(loaded.config.auth, Auth::Unset);
    }
}

#[test]
fn a_mistake_in_an_entry_costs_one_key_and_is_told_where_it_is() {
    let lines = "fps = \"fast\"\nbitrat = 1\ntext = \"a\"\nmax_viewers = 3\noverlya = 1\n\
                 controls = 5\nnme = 1\n[cameras.overlay]\ntxt = 1\ntime = 7";
    assert_eq!(
        told(&entry("garden", lines)),
        [
            "config.toml:4:7: `cameras.garden.fps` expects a number from 1 to 240, found the string \
             \"fast\"; the default is used, which is to leave it unset",
            "config.toml:5:1: unknown key `bitrat` in [[cameras]]: did you mean `bitrate`?",
            "config.toml:6:1: unknown key `text` in [[cameras]]: it belongs in [cameras.overlay]",
            "config.toml:7:1: unknown key `max_viewers` in [[cameras]]: it belongs in [stream]",
            "config.toml:8:1: unknown key `overlya` in [[cameras]]: did you mean [cameras.overlay]?",
            "config.toml:9:1: [cameras.controls] expects a table, written `[cameras.controls]` once",
            "config.toml:10:1: unknown key `nme` in [[cameras]]: did you mean `name`?",
            "config.toml:12:1: unknown key `txt` in [cameras.overlay]: did you mean `text`?",
            "config.toml:13:8: `cameras.garden.overlay.time` expects `true` or `false`, found the \
             number 7; the default is used, false",
        ]
    );
    let config = load(&entry("garden", lines)).config;
    assert_eq!(config.cameras, load(&entry("garden", "")).config.cameras);
}

#[test]
fn whoever_writes_the_section_otherwise_is_told_how_it_is_written() {
    for (file, words) in [
        ("[cameras]\nname = \"x\"", "write `[[cameras]]` above each"),
        ("cameras = \"x\"", "write `[[cameras]]` above each"),
        ("cameras = [5]", "each entry of `cameras` is a table such as"),
        ("[[camera]]\nsource = \"pattern\"", "further cameras are written `[[cameras]]`"),
        ("[[camras]]\nname = \"x\"", "did you mean [[cameras]]?"),
        ("[camera]\nname = \"x\"", "it belongs in [[cameras]]"),
    ] {
        let told = told(file);
        assert!(told.len() == 1 && told[0].contains(words), "{told:?}");
        assert_eq!(load(file).config, Config::default());
    }
}

#[test]
fn there_are_at_most_sixteen_further_cameras() {
    let file: String = (1..=20).map(|n| entry(&format!("c{n}"), "")).collect();
    let loaded = load(&file);
    assert_eq!(loaded.config.cameras.len(), 16);
    assert_eq!(loaded.problems.len(), 1);
    let told = loaded.problems[0].to_string();
    assert!(told.starts_with("config.toml:65:1: `cameras` has more than 16 entries"), "{told}");
}

#[test]
fn further_cameras_neither_open_nor_close_sign_in() {
    let auth = "[auth]\npassword = \"zQ7-password\"\n";
    for lines in ["fps = true", "x = 1", "controls = 1", "rotation = 45\nsource2 = 1"] {
        for entry in [entry("x", lines), entry("0", lines), "[cameras]\n".to_owned() + lines] {
            assert_eq!(load(&entry).config.auth, Auth::Unset, "{entry}");
            assert!(matches!(load(&(auth.to_owned() + &entry)).config.auth, Auth::Set(_)));
        }
    }
    // But a password that was meant to protect, and stands in one, protects nothing.
    for lost in ["password = \"zQ7-password\"", "tokens = [\"zQ7-token-0123456789\"]"] {
        for file in [entry("x", lost), entry("x", "[cameras.overlay]\n") + lost] {
            let loaded = load(&file);
            assert!(is_locked(&loaded.config), "{file}");
            assert!(!format!("{:?}", loaded.problems).contains("zQ7"), "{:?}", loaded.problems);
        }
    }
}

#[test]
fn what_is_found_out_later_about_a_camera_is_told_where_it_stands() {
    let mut places = load(&("[encoder]\nbitrate = 1000000\n".to_owned() + &entry("x", ""))).places;
    let problem = |places: &Places, camera: &CameraName, key: &str| {
        places.camera_problem(camera, key, ProblemKind::Refused, "is no good").to_string()
    };
    let (main, x) = (CameraName::main(), name("x"));
    for (camera, key, told) in [
        (&x, "source", "config.toml:5:10: `cameras.x.source` is no good"),
        // Of what is not set, the entry is the place.
        (&x, "overlay.text", "config.toml:3:1: `cameras.x.overlay.text` is no good"),
        (&main, "bitrate", "config.toml:2:11: `encoder.bitrate` is no good"),
        (&main, "source", "camera.source: is no good"),
        (&name("y"), "source", "cameras.y.source: is no good"),
    ] {
        assert_eq!(problem(&places, camera, key), told);
    }
    let set = "cameras=[{name=\"x\",source=\"file:x\"}]";
    Config::default().apply_sets(&[set], &mut places);
    let told = "--set cameras: `cameras.x.source` is no good";
    assert_eq!(problem(&places, &x, "source"), told);
}

#[test]
fn the_command_line_sets_all_further_cameras_or_none() {
    let set = "cameras=[{name=\"x\",source=\"pattern\",bitrate=\"1M\",overlay={time=true}}]";
    let by_file = load(&entry("x", "bitrate = \"1M\"\noverlay = { time = true }")).config;
    assert_eq!(sets::set(&[set]), (by_file.clone(), vec![]));
    // They take the place of those that were.
    let mut config = load(&(entry("a", "") + &entry("b", ""))).config;
    let before = config.clone();
    for (wrong, words) in [
        ("cameras=[{name=\"x\",source=\"pattern\",fps=\"fast\"}]", "`cameras.x.fps` expects"),
        ("cameras=[{name=\"x\",source=\"pattern\"},{name=\"y\"}]", "needs a `source`"),
        ("cameras=x", "list"),
        ("cameras=[{name=x}]", "list"),
    ] {
        let problems = config.apply_set(wrong).unwrap_err();
        let told = problems[0].to_string();
        assert!(told.starts_with("--set cameras: ") && told.contains(words), "{told}");
        assert!(told.ends_with("; nothing was changed"), "{told}");
        assert_eq!(config, before, "{wrong}");
    }
    config.apply_set(set).unwrap();
    assert_eq!(config.cameras, by_file.cameras);
    let problems = config.apply_set("cameras.x.bitrate=3M").unwrap_err();
    assert!(problems[0].to_string().contains("set all at once"), "{problems:?}");
    assert_eq!(config.cameras, by_file.cameras);
}

#[test]
fn the_secrets_of_a_further_camera_are_shown_nowhere() {
    let source = "rtsp://cam:zQ7-source@10.0.0.9/live";
    let file = entry("x", "").replace("pattern", source);
    let config = load(&file).config;
    let json = serde_json::to_string(&config).unwrap();
    for shown in [json, format!("{config:?}"), format!("{:?}", load(&file).places)] {
        assert!(!shown.contains("zQ7"), "{shown}");
    }
    let set = format!("cameras=[{{name=\"x\",source=\"{source}\"}}]");
    for set in [set.as_str(), "cameras=[{name=\"x\",source=\"gst:rtspsrc zQ7\"}]"] {
        let told = Config::secrets_in(&[set]);
        assert!(told.len() == 1 && !told[0].to_string().contains("zQ7"), "{told:?}");
    }
    assert_eq!(Config::secrets_in(&["cameras=[{name=\"x\",source=\"pattern\"}]"]), []);
}

#[test]
fn the_api_shows_further_cameras_as_the_file_has_them() {
    let lines = "fps = 12.5\nbitrate = \"1M\"\ncontrols = { gain = 2 }\noverlay = { text = \"a\" }";
    let config = load(&entry("x", lines)).config;
    let json = serde_json::to_value(&config).unwrap();
    let camera = &json["cameras"][0];
    assert_eq!(camera["name"], "x");
    assert_eq!(camera["source"], "pattern");
    assert_eq!(camera["fps"], 12.5);
    assert_eq!(camera["bitrate"], 1_000_000);
    assert_eq!(camera["controls"], serde_json::json!({ "gain": 2 }));
    assert_eq!(camera["overlay"]["text"], "a");
    // What it shows can be read again.
    let again = toml::to_string(&serde_json::json!({ "cameras": json["cameras"] })).unwrap();
    assert_eq!(load(&again).config.cameras, config.cameras);
    assert_eq!(serde_json::to_value(Config::default()).unwrap()["cameras"], serde_json::json!([]));
}
