//! Static files, mounts and pages.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

/// A small generator (xorshift64), so that a failing case can be had again from its number.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// Percent-decodes as a web server does before it asks for a file.
fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = (first == b'%').then(|| tail.get(..2)).flatten();
        let value = code.and_then(|c| u8::from_str_radix(std::str::from_utf8(c).ok()?, 16).ok());
        bytes.push(value.unwrap_or(first));
        rest = if value.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn no_spelling_of_a_name_leaves_the_folder() {
    const SECRET: &str = "secret";
    const UP: &[&str] = &[
        "..",
        "../",
        "..\\",
        "%2e%2e",
        "%2e%2e%2f",
        "..%2f",
        "..%5c",
        "%2e.",
        ".%2e/",
        "....//",
        "..;/",
        "..%00/",
        "%252e%252e%252f",
        "..%c0%af",
        "\u{ff0e}\u{ff0e}/",
        "./..",
        "//..",
    ];
    const BETWEEN: &[&str] = &["/", "", "//", "\\", "/./", "%2f", "%5c", "css/", "\0", "way/"];
    const END: &[&str] = &["secret.txt", ".secret", ".private/secret.txt", "etc/passwd", ""];
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("deep/site");
    let (site, _) = Site::open(&at(&root)).unwrap();
    for place in [dir.path().to_owned(), dir.path().join("deep"), root.clone(), root.join("static")]
    {
        fs::write(place.join(".secret"), SECRET).unwrap();
        fs::create_dir_all(place.join(".private")).unwrap();
        fs::write(place.join(".private/secret.txt"), SECRET).unwrap();
    }
    for place in [dir.path().to_owned(), dir.path().join("deep"), root.clone()] {
        fs::write(place.join("secret.txt"), SECRET).unwrap();
    }
    symlink(dir.path(), root.join("static/way")).unwrap();
    symlink(&root, root.join("static/css/way")).unwrap();
    let mount = Mount::new("/m", &root.join("static")).unwrap();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for case in 0..2000 {
        let mut name = String::new();
        for _ in 0..numbers.below(5) {
            name.push_str(numbers.pick(BETWEEN));
            name.push_str(numbers.pick(UP));
        }
        name.push_str(numbers.pick(BETWEEN));
        name.push_str(numbers.pick(END));
        if numbers.below(20) == 0 {
            name = root.join("secret.txt").to_str().unwrap().to_owned();
        }
        for name in [name.clone(), decode(&name), decode(&decode(&name))] {
            for file in [site.file(&name), mount.file(&name)].into_iter().flatten() {
                assert_ne!(file.bytes, SECRET, "case {case}: {name:?}");
            }
        }
    }
    fs::write(root.join("static/secret.txt"), "open").unwrap();
    assert_eq!(site.file("secret.txt").unwrap().bytes, "open", "the test can find files at all");
}

#[test]
fn a_file_comes_with_all_that_an_answer_needs() {
    let dir = tempfile::tempdir().unwrap();
    let (site, _) = Site::open(&at(dir.path())).unwrap();
    fs::write(dir.path().join("static/css/mine.css"), "p {}").unwrap();
    let file = site.file("css/mine.css").unwrap();
    assert_eq!(file.bytes, "p {}");
    assert_eq!(file.mime, "text/css; charset=utf-8");
    assert!(file.last_modified.is_some());
    assert_eq!(site.file("css/other.css"), None);
    assert_eq!(site.file("css"), None);
    assert_eq!(site.file(""), None);

    let embedded = Site::embedded();
    let favicon = embedded.file("img/favicon-32x32.png").unwrap();
    assert_eq!((favicon.mime, favicon.last_modified), ("image/png", None));
    let written = site.file("img/favicon-32x32.png").unwrap();
    assert_eq!(favicon.etag, written.etag, "the tag tells contents apart, not places");
}

#[test]
fn a_file_too_large_to_hold_in_memory_is_not_served() {
    let dir = tempfile::tempdir().unwrap();
    let mount = Mount::new("/m", dir.path()).unwrap();
    let file = fs::File::create(dir.path().join("big")).unwrap();
    file.set_len(MAX_FILE_SIZE).unwrap();
    assert!(mount.file("big").is_some());
    file.set_len(MAX_FILE_SIZE + 1).unwrap();
    assert_eq!(mount.file("big"), None);
}

#[test]
fn a_mount_serves_its_folder_and_has_a_name_in_templates() {
    let dir = tempfile::tempdir().unwrap();
    let media = dir.path().join("media");
    fs::create_dir(&media).unwrap();
    fs::write(media.join("day.mp4"), "video").unwrap();
    let (mut site, _) = Site::open(&at(&dir.path().join("site"))).unwrap();
    site.add_mount(Mount::new("/recordings", &media).unwrap()).unwrap();
    let [mount] = site.mounts() else { panic!("one mount") };
    assert_eq!(mount.prefix(), "/recordings");
    assert_eq!(mount.file("day.mp4").unwrap().mime, "video/mp4");
    let page = dir.path().join("site/templates/list.html");
    fs::write(page, "{{ url_for('recordings', path='day.mp4') }}").unwrap();
    assert_eq!(site.render("list.html", &()).unwrap(), "/recordings/day.mp4");

    let again = Mount::new("/recordings", &media).unwrap();
    assert!(matches!(site.add_mount(again), Err(SiteError::Duplicate(_))));
}

#[test]
fn a_page_needs_a_path_of_its_own_and_a_working_template() {
    let dir = tempfile::tempdir().unwrap();
    let (mut site, _) = Site::open(&at(dir.path())).unwrap();
    let templates = dir.path().join("templates");
    fs::write(templates.join("about.html"), "about").unwrap();
    fs::write(templates.join("broken.html"), "\n{% if %}").unwrap();
    site.add_page("/about", "about.html").unwrap();
    let [page] = site.pages() else { panic!("one page") };
    assert_eq!((page.path(), page.template()), ("/about", "about.html"));

    let mut error = |path, template| site.add_page(path, template).unwrap_err().to_string();
    assert!(error("/about", "about.html").contains("given twice"));
    assert!(error("about", "about.html").contains("begins with '/'"));
    assert!(error("/x", "missing.html").contains("templates/missing.html: there is no such"));
    assert!(error("/x", "../secret.html").contains("there is no such"));
    assert!(error("/x", "broken.html").contains("templates/broken.html line 2"));
    assert_eq!(site.pages().len(), 1);
}
