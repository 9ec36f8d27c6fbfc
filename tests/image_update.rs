//! Updates of the appliance: an update that works is kept, every other leads back to what ran
//! before, and no moment at which the power goes leaves a card that does not start.
//!
//! `scripts/test-image` makes or finds the image and runs these; without one they say so.

mod common;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::Duration;

use common::device::system::{System, foreign_keys, keys};
use common::device::writes::{Entry, Log};
use common::device::{Card, Device, Options};

const SETTINGS: &str = "[auth]\npassword = 'correct horse'\n";

/// The board and the version of the image that is tested.
struct Release {
    board: String,
    version: String,
}

impl Release {
    fn of(device: &Device) -> Self {
        let board = device.shell("cat /usr/lib/picket/board");
        let release = device.shell("cat /usr/lib/picket/release");
        let version =
            release.lines().find_map(|line| line.strip_prefix("VERSION=")).expect("there");
        let board = board.trim().strip_prefix("picket-").expect("a board").to_owned();
        Self { board, version: version.to_owned() }
    }
}

/// Signs in, and drops a bundle on the device. The error is what it says.
fn update(device: &Device, bundle: &[u8]) -> Result<String, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(600)))
        .http_status_as_error(false)
        .build()
        .into();
    let request = agent
        .post(device.url("/api/v1/update"))
        .header("cookie", device.sign_in("correct horse"))
        .header("content-type", "application/octet-stream");
    let mut answer = request.send(bundle).map_err(|e| e.to_string())?;
    let said = answer.body_mut().read_to_string().map_err(|e| e.to_string())?;
    if answer.status().is_success() { Ok(said) } else { Err(said) }
}

fn digests(card: &Card, partitions: &[u32]) -> Vec<Vec<u8>> {
    partitions.iter().map(|number| card.digest(*number)).collect()
}

/// The partition that is started from when nothing is being tried.
fn kept(card: &Card) -> u32 {
    let run =
        Command::new("scripts/run-image").arg("--dry-run").arg("--keep").arg(&card.file).output();
    let said = String::from_utf8(run.expect("run-image runs").stdout).expect("text");
    let number = said.lines().find_map(|line| line.split_once("start from partition "));
    number.and_then(|(_, n)| n.trim().parse().ok()).unwrap_or_else(|| panic!("{said}"))
}

#[test]
fn an_update_is_tried_and_kept_and_what_is_none_is_refused_before_anything_is_written() {
    let Some(card) = Card::with_config(SETTINGS) else { return };
    let system = System::of(&card);
    let mut device = Device::start(&card);
    device.wait_for_pages();
    device.wait_for_shell();
    let Release { board, version } = Release::of(&device);
    device.shell("echo kept > /data/note");
    let before = digests(&card, &[2, 3, 5, 6]);

    let foreign = foreign_keys();
    let mut damaged = system.bundle(&board, "99.0.0", &keys());
    let middle = damaged.len() / 2;
    damaged.truncate(middle);
    let refused = [
        (system.bundle(&board, "99.0.0", foreign.path()), "not an update for this camera"),
        (system.bundle("rpi64", "99.0.0", &keys()), "for another board"),
        (system.bundle(&board, "0.0.1", &keys()), "older than what runs"),
        (damaged, "not an update"),
        (b"a picture of a cat".to_vec(), "not an update"),
    ];
    for (bundle, expected) in refused {
        let why = update(&device, &bundle).expect_err(expected);
        assert!(why.contains(expected), "{expected}: {why}");
        assert_eq!(digests(&card, &[2, 3, 5, 6]), before, "{expected}");
    }
    // One whose system has no kernel is not even tried.
    let headless =
        System::of(&card).change_boot("Image", |_| None).bundle(&board, "99.0.0", &keys());
    let why = update(&device, &headless).expect_err("no kernel");
    assert!(why.contains("kernel") && why.contains("missing"), "{why}");

    // The same again under the same version is an update like any other.
    update(&device, &system.bundle(&board, &version, &keys())).expect("installed");
    device.wait_for("the trial", |device| device.firmware().contains("tryboot flag is set"));
    device.wait_for_line("works and is kept", 1);
    device.wait_for_shell();
    assert_eq!(device.shell("cat /data/note"), "kept\n");
    assert!(device.shell("cat /proc/cmdline").contains("7069636b-06"));
    assert_eq!(kept(&card), 3);
    device.pull_plug();

    // It is what starts from now on, and the next update goes to where the old one was.
    let mut device = Device::start(&card);
    device.wait_for_pages();
    device.wait_for_shell();
    assert!(device.shell("cat /proc/cmdline").contains("7069636b-06"));
    assert!(!device.console().contains("on trial"), "{}", device.console());
    update(&device, &system.bundle(&board, &version, &keys())).expect("installed");
    device.wait_for_line("works and is kept", 1);
    assert_eq!(kept(&card), 2);
}

/// What the device says of an update that did not work.
#[track_caller]
fn assert_undone(device: &mut Device, card: &Card, why: &str) {
    device.wait_for_shell();
    assert!(device.shell("cat /proc/cmdline").contains("7069636b-05"), "what ran before runs");
    assert_eq!(kept(card), 2);
    device.wait_for_pages();
    if !why.is_empty() {
        device.wait_for(why, |_| card.status().contains(why));
    }
}

#[test]
fn a_system_whose_kernel_does_not_run_is_gone_after_a_power_cut() {
    let Some(card) = Card::with_config(SETTINGS) else { return };
    System::of(&card).change_boot("Image", |kernel| Some(vec![0; kernel.len()])).put_on(&card);
    let device = Device::start_with(&card, &Options { tryboot: true, ..Options::default() });
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(device.console(), "", "it hangs");
    device.pull_plug();
    let mut device = Device::start(&card);
    assert_undone(&mut device, &card, "");
}

#[test]
fn a_system_without_a_kernel_or_one_that_panics_falls_back_by_itself() {
    let Some(card) = Card::with_config(SETTINGS) else { return };
    // Where there is no kernel the firmware stands still: see scripts/run-image.
    System::of(&card).change_boot("Image", |_| None).put_on(&card);
    let mut device = Device::start_with(&card, &Options { tryboot: true, ..Options::default() });
    assert_undone(&mut device, &card, "");
    assert!(device.firmware().contains("has no kernel"), "{}", device.firmware());
    device.pull_plug();

    let Some(card) = Card::with_config(SETTINGS) else { return };
    let without_init = |line: Vec<u8>| {
        let line = String::from_utf8(line).expect("text");
        Some(format!("{} init=/nowhere\n", line.trim_end()).into_bytes())
    };
    System::of(&card).change_boot("cmdline.txt", without_init).put_on(&card);
    let mut device = Device::start_with(&card, &Options { tryboot: true, ..Options::default() });
    assert_undone(&mut device, &card, "");
    assert!(device.console().contains("panic"), "{}", device.console());
}

#[test]
fn a_system_whose_daemon_dies_or_has_no_picture_falls_back_by_itself() {
    let Some(card) = Card::with_config(SETTINGS) else { return };
    let killer = "\nwhile :; do kill -9 $(grep -l '^Uid:.500' /proc/[0-9]*/status | cut -d/ -f3) 2>/dev/null; sleep 0.3; done &\n";
    System::of(&card).append_to_root("etc/init.d/rcS", killer).put_on(&card);
    let mut device = Device::start_with(&card, &Options { tryboot: true, ..Options::default() });
    device.wait_for_line("is rolled back: its daemon", 1);
    assert_undone(&mut device, &card, "");
    device.pull_plug();

    let Some(card) =
        Card::with_config(&format!("{SETTINGS}[camera]\nsource = 'v4l2:/dev/video9'\n"))
    else {
        return;
    };
    System::of(&card).put_on(&card);
    let mut device = Device::start_with(&card, &Options { tryboot: true, ..Options::default() });
    device.wait_for_line("is rolled back: no picture", 1);
    assert_undone(&mut device, &card, "");
}

#[test]
fn a_system_whose_steward_does_not_even_start_falls_back_by_itself() {
    let Some(card) = Card::with_config(SETTINGS) else { return };
    // Instead of it, a program that ends at once; and what waits for it is not let sleep on.
    let broken = "\nmount -o bind /bin/busybox /usr/bin/picket\n\
                  until pidof sleep > /dev/null; do :; done\nkill $(pidof sleep)\n";
    System::of(&card).append_to_root("etc/init.d/rcS", broken).put_on(&card);
    let mut device = Device::start_with(&card, &Options { tryboot: true, ..Options::default() });
    device.wait_for("the restart", |device| {
        device.firmware().matches("start from partition").count() == 2
    });
    assert_undone(&mut device, &card, "");
}

#[test]
fn a_trial_that_the_power_cut_ended_is_no_trial_any_more() {
    let Some(card) = Card::with_config(SETTINGS) else { return };
    System::of(&card).put_on(&card);
    let mut device = Device::start_with(&card, &Options { tryboot: true, ..Options::default() });
    device.wait_for_line("is on trial", 1);
    device.pull_plug();
    // Whether it had been kept already is up to chance; either way what starts is whole.
    let expected = if kept(&card) == 2 { "7069636b-05" } else { "7069636b-06" };
    let mut device = Device::start(&card);
    device.wait_for_pages();
    device.wait_for_shell();
    assert!(device.shell("cat /proc/cmdline").contains(expected));
}

/// A card while its power may go at any moment: what is safe, and what was written after that.
struct Moments<'a> {
    card: &'a Card,
    file: File,
    pending: Vec<(u64, Vec<u8>)>,
}

impl Moments<'_> {
    /// Lets a write happen.
    fn take(&mut self, log: &Log, entry: &Entry) {
        if entry.length > 0 {
            self.pending.push((entry.start, log.data(entry)));
        }
        if entry.flush || entry.safe {
            for (start, bytes) in self.pending.drain(..) {
                self.file.write_all_at(&bytes, start).expect("written");
            }
        }
    }

    /// Cuts the power: of what was not safe yet, any sectors may have been written. Looks at the
    /// card as `check` does, and puts it back.
    fn cut(&self, random: &mut fastrand::Rng, check: impl FnOnce(&Card)) {
        let mut undo = Vec::new();
        for (start, bytes) in &self.pending {
            for (n, sector) in bytes.chunks(512).enumerate() {
                if random.bool() {
                    let at = start + 512 * n as u64;
                    let mut before = vec![0; sector.len()];
                    self.file.read_exact_at(&mut before, at).expect("read");
                    self.file.write_all_at(sector, at).expect("written");
                    undo.push((at, before));
                }
            }
        }
        check(self.card);
        for (at, before) in undo.into_iter().rev() {
            self.file.write_all_at(&before, at).expect("written");
        }
    }
}

#[test]
fn wherever_the_power_goes_during_an_update_the_card_starts() {
    let Some(card) = Card::with_config(SETTINGS) else { return };
    // Its first start is not what this is about.
    let mut device = Device::start(&card);
    device.wait_for_shell();
    let Release { board, version } = Release::of(&device);
    device.power_off();
    let before = tempfile::NamedTempFile::new().expect("a file");
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let copied = Command::new("cp").arg("--sparse=always").args([from, to]).status();
        assert!(copied.is_ok_and(|status| status.success()), "copied");
    };
    copy(&card.file, before.path());

    // The update, every write of it kept: first the installation, then the trial.
    let system = System::of(&card);
    let bundle = system.bundle(&board, &version, &keys());
    let logs = [(); 2].map(|()| tempfile::NamedTempFile::new().expect("a file"));
    let options = |n: usize| Options {
        log_writes: Some(logs[n].path().to_owned()),
        once: true,
        tryboot: n == 1,
    };
    let mut device = Device::start_with(&card, &options(0));
    device.wait_for_pages();
    update(&device, &bundle).expect("installed");
    device.wait_for_end();
    drop(device);
    let installed = (card.digest(3), system.root());
    let mut device = Device::start_with(&card, &options(1));
    device.wait_for_line("works and is kept", 1);
    device.wait_for_pages();
    drop(device);
    assert_eq!(kept(&card), 3);
    assert_eq!(card.digest(3), installed.0, "the trial leaves its own kernel alone");

    // All that again on the card as it was, cut at two hundred moments.
    copy(before.path(), &card.file);
    let logs = logs.each_ref().map(|log| Log::read(log.path()));
    for part in [2, 5].map(|number| card.partition(number)) {
        let touched = logs
            .iter()
            .flat_map(|log| &log.entries)
            .any(|e| e.length > 0 && part.contains(e.start));
        assert!(!touched, "what runs is never written to");
    }
    let all: usize = logs.iter().map(|log| log.entries.len()).sum();
    let seed = fastrand::u64(..);
    println!("{all} writes and flushes, cut at 200 moments, seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut moments: Vec<usize> = (0..200).map(|_| random.usize(0..=all)).collect();
    moments.sort_unstable();
    let file = File::options().read(true).write(true).open(&card.file).expect("a card");
    let mut state = Moments { card: &card, file, pending: Vec::new() };
    let mut happened = 0;
    let mut starts = [0; 2];
    let mut entries = logs.iter().flat_map(|log| log.entries.iter().map(move |entry| (log, entry)));
    for (n, moment) in moments.into_iter().enumerate() {
        while happened < moment {
            let (log, entry) = entries.next().expect("as many as were counted");
            state.take(log, entry);
            happened += 1;
        }
        state.cut(&mut random, |card| match kept(card) {
            2 => starts[0] += 1,
            3 => {
                starts[1] += 1;
                assert_eq!(card.digest(3), installed.0);
                assert!(card.bytes(6, 0, installed.1.len()) == installed.1, "its root is whole");
            }
            other => panic!("nothing to start on partition {other}, seed {seed}"),
        });
        // A few of them for real.
        if n % 60 == 59 {
            state.cut(&mut random, |card| {
                let saved = tempfile::NamedTempFile::new().expect("a file");
                copy(&card.file, saved.path());
                let mut device = Device::start(card);
                device.wait_for_pages();
                drop(device);
                copy(saved.path(), &card.file);
            });
        }
    }
    println!("started A {} times and B {} times", starts[0], starts[1]);
}
