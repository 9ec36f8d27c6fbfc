//! What errors say is said once: their words tell the reason, and then no source tells it again.

use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What is wrong with the errors that `text` declares. Those that are a room's own affair are put
/// into words before they leave it.
fn told_twice(text: &str) -> Vec<String> {
    let types = text.split("thiserror::Error)]").skip(1);
    let public = types.filter(|declared| declared.trim_start().starts_with("pub "));
    public.flat_map(told_twice_by).collect()
}

fn told_twice_by(declared: &str) -> Vec<String> {
    let mut found = Vec::new();
    let whole = declared.split("\n}").next().unwrap_or_default();
    for variant in whole.split("#[error(").skip(1) {
        let Some((words, fields)) = variant.split_once(")]") else { continue };
        let fields: Vec<&str> = fields.lines().filter(|l| !l.trim().starts_with("//")).collect();
        let fields = fields.join("\n");
        let by_place = fields.contains("#[from]") || fields.contains("#[source]");
        let by_name = fields.contains(" source:");
        let tells = words.contains("{0") || words.contains(".0") || words.contains("source");
        if words.trim() != "transparent" && (by_place || by_name) && tells {
            found.push(words.trim().to_owned());
        }
    }
    found
}

#[test]
fn no_error_has_a_source_that_its_words_tell_already() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    assert!(files.len() > 100);
    // What is wrong with a clip is a matter between the clip and its reader.
    for file in files.iter().filter(|file| !file.ends_with("camera/file/error.rs")) {
        let text = std::fs::read_to_string(file).expect("readable");
        assert_eq!(told_twice(&text), Vec::<String>::new(), "{}", file.display());
    }
}

#[test]
fn an_error_that_would_tell_its_source_twice_is_found() {
    let declared = |variant: &str| {
        told_twice(&format!("#[derive(Debug, thiserror::Error)]\npub enum E {{\n{variant}\n}}\n"))
    };
    for twice in [
        "#[error(\"no port: {source}\")]\nBind {\n source: io::Error,\n},",
        "#[error(\"bad: {0}\")]\nBad(#[from] io::Error),",
    ] {
        assert_eq!(declared(twice).len(), 1, "{twice}");
    }
    for once in [
        "#[error(transparent)]\nBad(#[from] io::Error),",
        "#[error(\"bad: {0}\")]\nBad(io::Error),",
        "#[error(\"bad\")]\nBad(#[from] io::Error),",
    ] {
        assert_eq!(declared(once), Vec::<String>::new(), "{once}");
    }
}

#[test]
fn the_chain_of_an_error_says_each_thing_once() {
    use picket::http::ServeError;
    use picket::signalling::StartError;
    use std::io::{Error, ErrorKind};
    let why = |kind| Error::new(kind, "the system's own words");
    for kind in [
        ErrorKind::AddrInUse,
        ErrorKind::PermissionDenied,
        ErrorKind::AddrNotAvailable,
        ErrorKind::OutOfMemory,
    ] {
        let address = "192.0.2.1:80".parse().expect("an address");
        for error in [
            picket::PicketError::from(ServeError::Bind {
                key: "http.listen",
                address,
                why: why(kind),
            }),
            picket::PicketError::from(StartError::Bind { port: 80, why: why(kind) }),
            picket::PicketError::from(why(kind)),
        ] {
            let told = format!("{:#}", anyhow::Error::from(error));
            assert!(told.matches("the system's own words").count() <= 1, "{told}");
            // The advice is for what is wrong.
            let right = told.contains("1024 or more");
            let expected = kind == ErrorKind::PermissionDenied && !told.contains("refused what");
            assert_eq!(right, expected, "{told}");
            let mut parts: Vec<&str> = told.split([':', ';', '(']).map(str::trim).collect();
            parts.sort_unstable();
            assert!(parts.windows(2).all(|pair| pair[0] != pair[1]), "{told}");
        }
    }
}
