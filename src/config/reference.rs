//! Writes the owner's reference and the shipped file from the keys, and tests that what is in
//! `docs/` is what the keys say. `PICKET_BLESS=1 cargo test --lib config::reference` writes them again.

use std::fmt::Write;
use std::path::PathBuf;

use super::keys::{CAMERAS, header};
use super::{Config, Effect, Key, Scope, Section, keys, sections};

/// What stands above the generated part of `docs/configuration.md`; everything before it is prose.
const MARK: &str = "src/config/keys/. Change them there. -->\n";

/// An example of `[[cameras]]`.
const CAMERAS_EXAMPLE: &str = "[[cameras]]
name = \"garden\"
source = \"v4l2:/dev/video2\"
bitrate = \"1500k\"
overlay = { text = \"Garden\", time = true }

[[cameras]]
name = \"door\"
source = \"libcamera:1\"
rotation = 180
[cameras.controls]
awb = \"daylight\"
";

/// What every entry of `[[cameras]]` must have, and what it may have.
const OF_CAMERAS: &str = "`name` is 1 to 32 of the characters `a-z`, `0-9`, `-` and `_`, different \
     for each camera; not `main`, which is the camera of `[camera]`, not `0`, and not 32 hexadecimal \
     digits, which mean other things in addresses. `source` must be there, too: a camera without \
     either is left out. The keys of `[encoder]` stand beside those of `[camera]`; tables are \
     `[cameras.overlay]`, `[cameras.stabilizer]` and `[cameras.controls]`, each below the `[[cameras]]` \
     that it belongs to. At most 16 cameras beside `main`.";

/// When a change of them takes effect.
const CAMERAS_CHANGES: &str = "What is live in `[camera]` and `[encoder]` is live here, too. A camera \
     that is added, taken out or renamed waits for a restart.";

fn keys_of(section: &Section) -> impl Iterator<Item = &'static Key> {
    keys().iter().filter(|key| key.split().0 == section.name)
}

/// The default, or `unset`.
fn default_of(key: &Key) -> Option<String> {
    key.value(&Config::default()).map(|value| value.to_string())
}

/// The sections of `docs/configuration.md`.
fn markdown() -> String {
    let mut page = String::from("\n## The sections\n\n");
    for section in sections() {
        let anchor = section.name.replace('.', "");
        let image = if section.scope == Scope::Image { ", image only" } else { "" };
        let _ = writeln!(page, "- [`{}`](#{anchor}){image}", header(section.name));
    }
    for section in sections() {
        let doc = wrap(section.doc, 100, "");
        let _ = writeln!(page, "\n## {}\n\n{doc}", header(section.name));
        if section.name == CAMERAS {
            let _ = writeln!(page, "\n```toml\n{CAMERAS_EXAMPLE}```\n");
            let _ = writeln!(page, "{}", wrap(OF_CAMERAS, 100, ""));
            let _ = writeln!(page, "\n{}", wrap(CAMERAS_CHANGES, 100, ""));
            continue;
        }
        if section.scope == Scope::Image {
            page.push_str("\nOnly on the image; elsewhere this section does nothing.\n");
        }
        page.push_str("\n| key | may be | default | a change |\n|---|---|---|---|\n");
        for key in keys_of(section) {
            let default =
                default_of(key).map_or_else(|| "unset".to_owned(), |value| format!("`{value}`"));
            let effect = match key.effect {
                Effect::Live => "live",
                Effect::Restart => "restart",
            };
            let expects = key.expects().replace('|', "\\|");
            let _ = writeln!(page, "| `{}` | {expects} | {default} | {effect} |", key.split().1);
        }
        page.push('\n');
        for key in keys_of(section) {
            let item = format!("- **`{}`**: {}", key.split().1, key.doc);
            let _ = writeln!(page, "{}", wrap(&item, 100, "  "));
        }
    }
    page
}

/// The shipped `docs/config.toml`. A line that begins with `#` and a letter is a key at its
/// default; one that begins with `#` and a space is a comment or an example.
fn sample() -> String {
    let mut file = String::from(
        "# Picket's configuration. Every line is optional; remove the `#` before a key to set it.\n\
         # What each key costs, and what happens when something is wrong here, is explained in\n\
         # docs/configuration.md. `picket check config.toml` finds mistakes.\n",
    );
    for section in sections() {
        let image = if section.scope == Scope::Image { " Only on the image." } else { "" };
        let doc = wrap(&format!("{}{image}", section.doc), 98, "");
        let _ = write!(file, "\n\n{}", comment(&doc));
        if section.name == CAMERAS {
            let text = format!("{}\nFor example:\n{CAMERAS_EXAMPLE}", wrap(OF_CAMERAS, 98, ""));
            file.push_str(&comment(&text));
            continue;
        }
        let _ = writeln!(file, "[{}]", section.name);
        for key in keys_of(section) {
            let (_, name) = key.split();
            let _ = write!(file, "\n{}", comment(&wrap(key.doc, 98, "")));
            let expects = wrap(&format!("It may be {}.", key.expects()), 98, "");
            file.push_str(&comment(&expects));
            let _ = match (default_of(key), key.example) {
                (Some(default), _) => writeln!(file, "#{name} = {default}"),
                (None, example) => {
                    writeln!(file, "# Unset. For example:\n# {name} = {}", example.unwrap_or("?"))
                }
            };
        }
    }
    file
}

fn comment(text: &str) -> String {
    text.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect()
}

/// Breaks text into lines of up to `width` characters, all but the first indented. What stands
/// between backticks stays in one line.
fn wrap(text: &str, width: usize, indent: &str) -> String {
    let mut lines = vec![String::new()];
    let mut within_code = false;
    let mut word = String::new();
    for part in text.split_inclusive(' ') {
        within_code ^= part.matches('`').count() % 2 == 1;
        word.push_str(part);
        if within_code {
            continue;
        }
        if let Some(line) = lines.last_mut() {
            if line.is_empty() || line.chars().count() + word.trim_end().chars().count() <= width {
                line.push_str(&word);
            } else {
                lines.push(format!("{indent}{word}"));
            }
        }
        word.clear();
    }
    let lines: Vec<_> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

/// Compares a document with what it should be, or writes it.
fn agrees(name: &str, wanted: &str) {
    if std::env::var_os("PICKET_BLESS").is_some() {
        std::fs::write(docs(name), wanted).unwrap();
    }
    let stands = std::fs::read_to_string(docs(name)).unwrap();
    let differs = stands.lines().zip(wanted.lines()).find(|(is, should)| is != should);
    assert_eq!(differs, None, "docs/{name} does not say what the keys say (is, should be)");
    assert_eq!(stands.len(), wanted.len(), "docs/{name} is too short or too long");
}

/// The reference as it is.
fn reference() -> String {
    std::fs::read_to_string(docs("configuration.md")).unwrap()
}

#[test]
fn the_reference_says_what_the_keys_say() {
    let page = reference();
    let (prose, _) = page.split_once(MARK).expect("the mark above the written part");
    agrees("configuration.md", &format!("{prose}{MARK}{}", markdown()));
}

#[test]
fn the_reference_has_every_key_with_its_default() {
    let page = reference();
    for key in keys() {
        let (section, name) = key.split();
        let (_, below) = page.split_once(&format!("\n## [{section}]\n")).expect(section);
        let chapter = below.split("\n## ").next().unwrap();
        let row = chapter.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{} is not in the reference", key.name));
        let default = default_of(key).map_or_else(|| "unset".to_owned(), |d| format!("`{d}`"));
        assert!(row.contains(&format!("| {default} |")), "{}: {row}", key.name);
        assert!(chapter.contains(&format!("**`{name}`**")), "{} is not explained", key.name);
    }
}

#[test]
fn the_shipped_file_says_what_the_keys_say() {
    agrees("config.toml", &sample());
}

#[test]
fn the_shipped_file_is_the_defaults_commented_or_not() {
    let file = std::fs::read_to_string(docs("config.toml")).unwrap();
    let uncommented: String = file
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    assert_ne!(file, uncommented);
    for text in [file, uncommented] {
        let loaded = Config::load(text.as_bytes(), "config.toml");
        assert_eq!(loaded.problems, []);
        assert_eq!(loaded.config, Config::default());
    }
}

#[test]
fn every_example_is_accepted_but_those_for_passwords() {
    for key in keys() {
        if let Some(example) = key.example {
            let mut config = Config::default();
            let set = config.apply_set(&format!("{}={example}", key.name));
            assert_eq!(set.is_ok(), key.split().0 != "auth", "{}: {set:?}", key.name);
            assert!(!key.same(&config, &Config::default()), "{}", key.name);
        }
    }
}

#[test]
fn the_cameras_in_the_reference_are_accepted() {
    let page = reference();
    assert!(page.contains(CAMERAS_EXAMPLE));
    let loaded = Config::load(CAMERAS_EXAMPLE.as_bytes(), "config.toml");
    assert_eq!(loaded.problems, []);
    assert_eq!(loaded.config.cameras.len(), 2);
}

#[test]
fn the_small_file_in_the_reference_works_once_it_has_a_hash() {
    let page = reference();
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (file, _) = rest.split_once("```").unwrap();
    let loaded = Config::load(file.as_bytes(), "config.toml");
    assert_eq!(loaded.problems.len(), 1, "{:?}", loaded.problems);
    assert!(loaded.problems[0].to_string().contains("`auth.password_hash`"));
    assert!(!loaded.config.http.listen.ip().is_loopback());
}

#[test]
fn the_problems_shown_in_the_reference_are_the_ones_picket_prints() {
    let page = reference();
    let text = "\n".repeat(7) + "[encoder]\nbitrat = 1\n[http]\n\n   listen=8000\n";
    for problem in Config::load(text.as_bytes(), "config.toml").problems {
        assert!(page.contains(&problem.to_string()), "{problem}");
    }
}
