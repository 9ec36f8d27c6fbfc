//! Where the default files come from and what happens to the user's.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

fn snapshot(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn without_a_data_location_the_embedded_site_is_served() {
    let (site, report) = Site::open(&SiteSettings::default()).unwrap();
    assert_eq!(report, SiteReport::default());
    assert_eq!(site.location.as_deref(), None);
    assert!(site.render("index.html", &()).unwrap().contains("/static/js/custom.js"));
    for file in DEFAULTS.iter().filter(|file| file.data_folder == DataFolder::Static) {
        assert_eq!(site.file(file.name).unwrap().bytes, file.bytes);
    }
}

#[test]
fn missing_files_are_written_and_found_ones_kept() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("templates")).unwrap();
    fs::write(dir.path().join("templates/404.html"), "mine").unwrap();
    let (site, report) = Site::open(&at(dir.path())).unwrap();
    assert_eq!(with(&report, FileAction::Kept), ["templates/404.html"]);
    assert_eq!(with(&report, FileAction::Written).len(), DEFAULTS.len() - 1);
    assert_eq!(report.warnings, [""; 0]);
    assert_eq!(site.error_page(ErrorPage::NotFound, &()), "mine");
    let files = snapshot(dir.path());
    assert_eq!(files.len(), DEFAULTS.len());

    let (_, second) = Site::open(&at(dir.path())).unwrap();
    assert_eq!(with(&second, FileAction::Kept).len(), DEFAULTS.len());
    assert_eq!(snapshot(dir.path()), files);
}

#[test]
fn overwriting_replaces_the_default_files_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    Site::open(&at(dir.path())).unwrap();
    let original = snapshot(dir.path());
    for mine in ["templates/mine.html", "static/css/mine.css", "notes.txt"] {
        fs::write(dir.path().join(mine), "mine").unwrap();
    }
    fs::write(dir.path().join("templates/index.html"), "edited").unwrap();
    let settings = SiteSettings { overwrite_default_files: true, ..at(dir.path()) };
    let (_, report) = Site::open(&settings).unwrap();
    assert_eq!(with(&report, FileAction::Overwritten), ["templates/index.html"]);
    assert_eq!(
        with(&report, FileAction::Kept).len(),
        DEFAULTS.len() - 1,
        "equal files are not written again"
    );
    let now = snapshot(dir.path());
    assert_eq!(now.len(), DEFAULTS.len() + 3);
    for (path, content) in now {
        let expected = original.get(&path).map_or(b"mine".as_slice(), Vec::as_slice);
        assert_eq!(content, expected, "{}", path.display());
    }
}

#[test]
fn an_unusable_data_location_is_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for location in [file.clone(), file.join("below")] {
        let error = Site::open(&at(&location)).err().unwrap().to_string();
        assert!(error.contains("the data location") && error.contains("file"), "{error}");
        assert!(error.contains("remove the setting to use the built-in pages"), "{error}");
    }
}

#[test]
fn a_crash_while_writing_is_healed_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    Site::open(&at(dir.path())).unwrap();
    // The state a crash leaves: a half-written staged file, and its target still missing.
    fs::remove_file(dir.path().join("templates/index.html")).unwrap();
    fs::create_dir(dir.path().join(".picket-staging")).unwrap();
    fs::write(dir.path().join(".picket-staging/file"), "{% ext").unwrap();
    let (site, report) = Site::open(&at(dir.path())).unwrap();
    assert_eq!(with(&report, FileAction::Written), ["templates/index.html"]);
    assert_eq!(snapshot(dir.path()).len(), DEFAULTS.len());
    assert!(site.render("index.html", &()).is_ok());
}

#[test]
fn what_stands_in_the_way_of_a_default_file_is_told_and_served_around() {
    let dir = tempfile::tempdir().unwrap();
    let location = dir.path().join("site");
    fs::create_dir_all(location.join("templates/index.html")).unwrap();
    fs::create_dir_all(location.join("static/css")).unwrap();
    fs::write(dir.path().join("private"), "private").unwrap();
    symlink("../../../private", location.join("static/css/custom.css")).unwrap();
    let (site, report) = Site::open(&at(&location)).unwrap();
    assert_eq!(report.warnings.len(), 2, "{:?}", report.warnings);
    assert!(report.warnings[0].contains("static/css/custom.css"), "{:?}", report.warnings);
    assert!(report.warnings[1].contains("templates/index.html"), "{:?}", report.warnings);
    assert_eq!(site.render("index.html", &()), Site::embedded().render("index.html", &()));
    assert_eq!(site.file("css/custom.css"), Site::embedded().file("css/custom.css"));
    assert_eq!(fs::read(dir.path().join("private")).unwrap(), b"private");
}

#[test]
fn a_default_file_that_vanishes_is_served_from_the_embedded_copy() {
    let dir = tempfile::tempdir().unwrap();
    let (site, _) = Site::open(&at(dir.path())).unwrap();
    fs::remove_dir_all(dir.path()).unwrap();
    assert!(site.render("index.html", &()).is_ok());
    assert_eq!(site.file("js/custom.js"), Site::embedded().file("js/custom.js"));
}

#[test]
fn a_broken_page_is_told_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    Site::open(&at(dir.path())).unwrap();
    fs::write(dir.path().join("templates/500.html"), "\n{% if %}").unwrap();
    let (_, report) = Site::open(&at(dir.path())).unwrap();
    let [warning] = &report.warnings[..] else {
        panic!("expected one warning, not {:?}", report.warnings);
    };
    assert!(warning.starts_with("templates/500.html line 2: "), "{warning}");
}

#[test]
fn a_players_script_of_the_owners_stays_when_the_players_parts_come() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("static/js")).unwrap();
    fs::write(dir.path().join("static/js/custom.js"), "mine").unwrap();
    let (site, report) = Site::open(&at(dir.path())).unwrap();
    assert_eq!(with(&report, FileAction::Kept), ["static/js/custom.js"]);
    assert_eq!(site.file("js/custom.js").unwrap().bytes, "mine");
    assert!(dir.path().join("static/js/player/session.js").is_file());
}
