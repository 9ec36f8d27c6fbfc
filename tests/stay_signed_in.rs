//! A restart signs nobody out, and nothing lets in who was signed out.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::client::ask;
use common::daemon::Daemon;

const PASSWORD: &str = "correct horse";
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn camera(folder: &Path, password: &str) -> Daemon {
    let folder = format!("site.data_location={}", folder.display());
    Daemon::start(&[&folder, &format!("auth.password={password}")])
}

/// Signs in, and gives the cookie.
fn sign_in(camera: &Daemon) -> String {
    let body = format!("{{\"password\": \"{PASSWORD}\"}}");
    let reply = ask(camera.http, "POST", "/login", &[JSON], &body);
    assert_eq!(reply.status, 204, "{reply:?}");
    reply.header("set-cookie").split(';').next().expect("a cookie").to_owned()
}

fn status(camera: &Daemon, cookie: &str) -> u16 {
    ask(camera.http, "GET", "/api/v1/sessions", &[("Cookie", cookie)], "").status
}

#[test]
fn a_restart_signs_nobody_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = camera(folder.path(), PASSWORD);
    let (one, other) = (sign_in(&first), sign_in(&first));
    // Killed, as by a power cut.
    drop(first);
    let file = folder.path().join("sign-ins.json");
    let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).expect("text");
    let value = one.split('=').nth(1).expect("a value");
    assert!(!text.contains(value) && !text.contains(PASSWORD), "{text}");

    let second = camera(folder.path(), PASSWORD);
    assert_eq!((status(&second, &one), status(&second, &other)), (200, 200));
    ask(second.http, "POST", "/logout", &[("Cookie", &one)], "");
    drop(second);
    let third = camera(folder.path(), PASSWORD);
    assert_eq!((status(&third, &one), status(&third, &other)), (401, 200));
    let everywhere = ask(third.http, "POST", "/logout/everywhere", &[("Cookie", &other)], "");
    // Relatively, from where it was asked for.
    assert_eq!((everywhere.status, everywhere.header("location")), (303, "../"));
    assert_eq!(status(&third, &other), 401);
    drop(third);
    let fourth = camera(folder.path(), PASSWORD);
    assert_eq!(status(&fourth, &other), 401);
}

#[test]
fn a_password_that_changed_while_the_camera_was_off_signs_everybody_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = camera(folder.path(), PASSWORD);
    let cookie = sign_in(&first);
    drop(first);
    assert_eq!(status(&camera(folder.path(), "battery staple"), &cookie), 401);
}

#[test]
fn a_damaged_file_stops_nothing_and_lets_nobody_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sign-ins.json");
    let first = camera(folder.path(), PASSWORD);
    let cookie = sign_in(&first);
    drop(first);
    let whole = std::fs::read(&file).expect("it is there");
    for damaged in [Vec::new(), whole[..whole.len() / 2].to_vec(), vec![0; 4096], b"[]".to_vec()] {
        std::fs::write(&file, &damaged).expect("written");
        let camera = camera(folder.path(), PASSWORD);
        camera.wait_for_log("has to sign in again");
        assert_eq!(status(&camera, &cookie), 401);
        assert_eq!(status(&camera, "picket="), 401);
        let again = sign_in(&camera);
        assert_eq!(status(&camera, &again), 200);
    }
    std::fs::remove_file(&file).expect("removed");
    std::fs::create_dir(&file).expect("made");
    let camera = camera(folder.path(), PASSWORD);
    let cookie = sign_in(&camera);
    assert_eq!(status(&camera, &cookie), 200);
    // Nor can it be removed, to be sure that it holds nobody who has signed out.
    camera.wait_for_log("after a restart, browsers that were signed out may be signed in again");
}
