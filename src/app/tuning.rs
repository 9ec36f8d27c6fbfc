//! The tuning file for the Pi's cameras.
//!
//! libcamera learns of it by its environment only, and reads that when its camera manager starts:
//! it must be there before anybody asks for a camera. A program may change its environment only
//! while it has one thread, since others could be reading it; so this comes first in
//! [`Builder::build`](super::Builder::build), and makes sure.

// Changing the environment; see `tell_libcamera`.
#![allow(unsafe_code)]

use std::path::{Path, PathBuf};

use crate::appliance::{Board, board};
use crate::config::{Config, Places, Problem, ProblemKind, Source};

/// Where libcamera's pipelines for the Pi look.
const VARIABLE: &str = "LIBCAMERA_RPI_TUNING_FILE";

/// A tuning file is some 50 kB.
const MAX_LEN: u64 = 4 << 20;

/// Why the file is not used. The camera then runs with libcamera's own for its sensor.
#[derive(Debug, thiserror::Error)]
enum TuningError {
    #[error("cannot read {0}: {1}")]
    Unreadable(PathBuf, std::io::Error),
    #[error("{0} is {1} bytes long, which no tuning file is")]
    TooLong(PathBuf, u64),
    #[error(
        "{0} is no tuning file, which is JSON and begins with {{: {1}; those of libcamera are in \
         /usr/share/libcamera/ipa/rpi"
    )]
    NotJson(PathBuf, String),
    #[error(
        "{file} is for boards with \"{target}\", and this one has \"{has}\": take the file of the \
         same name for this board, from /usr/share/libcamera/ipa/rpi"
    )]
    OtherBoard { file: PathBuf, target: String, has: &'static str },
    #[error("it has no effect with camera.source = \"{0}\"")]
    OtherSource(String),
    #[error("this build of Picket has no libcamera: it was made without the feature \"libcamera\"")]
    NotBuilt,
    #[error(
        "libcamera can be told of it only before the program has other threads: build Picket \
         first, or start the program with {VARIABLE}={0} in its environment"
    )]
    TooLate(PathBuf),
}

/// Has libcamera use the configured tuning file, if there is one. One that cannot be used is told.
pub(super) fn apply(config: &Config, places: &Places) -> Option<Problem> {
    let told = usable(config).and_then(|file| {
        if let Some(file) = file {
            tell_libcamera(&file)?;
            log::info!("the Pi's cameras are tuned by {}", file.display());
        }
        Ok(())
    });
    Some(problem(told.err()?, places))
}

/// Whether it can be used, without using it.
pub(super) fn examine(config: &Config, places: &Places) -> Option<Problem> {
    Some(problem(usable(config).err()?, places))
}

fn problem(why: TuningError, places: &Places) -> Problem {
    let message = format!("is not used: {why}");
    places.problem("camera.tuning_file", ProblemKind::Refused, &message)
}

/// The file's full name, if there is one that can be used.
fn usable(config: &Config) -> Result<Option<PathBuf>, TuningError> {
    let Some(file) = &config.camera.tuning_file else {
        return Ok(None);
    };
    let full = check(file, &board())?;
    let by_libcamera = |source: &Source| matches!(source, Source::Auto | Source::Libcamera(_));
    if !config.all_cameras().any(|settings| by_libcamera(&settings.camera.source)) {
        return Err(TuningError::OtherSource(config.camera.source.to_string()));
    }
    if cfg!(not(feature = "libcamera")) {
        return Err(TuningError::NotBuilt);
    }
    Ok(Some(full))
}

/// The file's full name, if libcamera will be able to use it: one that it cannot use would cost
/// the camera.
fn check(file: &Path, board: &Board) -> Result<PathBuf, TuningError> {
    let unreadable = |error| TuningError::Unreadable(file.to_owned(), error);
    let full = file.canonicalize().map_err(unreadable)?;
    let length = full.metadata().map_err(unreadable)?.len();
    if length > MAX_LEN {
        return Err(TuningError::TooLong(full, length));
    }
    let bytes = std::fs::read(&full).map_err(unreadable)?;
    let not_json = |why: String| TuningError::NotJson(full.clone(), why);
    let tuning: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| not_json(error.to_string()))?;
    let Some(tuning) = tuning.as_object() else {
        return Err(not_json("it holds something else".into()));
    };
    let has = if board.chip().as_deref() == Some("BCM2712") { "pisp" } else { "bcm2835" };
    match tuning.get("target").and_then(serde_json::Value::as_str) {
        Some(target) if board.is_raspberry_pi() && target != has => {
            Err(TuningError::OtherBoard { file: full, target: target.into(), has })
        }
        _ => Ok(full),
    }
}

fn tell_libcamera(file: &Path) -> Result<(), TuningError> {
    if std::env::var_os(VARIABLE).is_some_and(|set| set == file.as_os_str()) {
        return Ok(());
    }
    let threads = std::fs::read_dir("/proc/self/task").map_or(usize::MAX, Iterator::count);
    if threads != 1 {
        return Err(TuningError::TooLate(file.to_owned()));
    }
    // SAFETY: this is the only thread, as the kernel just said, so that nobody else reads the
    // environment or makes a thread that could.
    unsafe { std::env::set_var(VARIABLE, file) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, content).unwrap();
        file
    }

    fn pi(chip: &str) -> Board {
        let compatible = vec!["raspberrypi,model".to_owned(), format!("brcm,{chip}")];
        Board { model: None, compatible }
    }

    fn refusal(content: &[u8], board: &Board) -> String {
        check(file(content).path(), board).unwrap_err().to_string()
    }

    #[test]
    fn a_file_that_is_no_tuning_file_is_refused_and_said_where() {
        let anywhere = Board::default();
        let broken = refusal(b"{\n  \"version\": 2.0,\n  \"target\" }", &anywhere);
        assert!(broken.contains("line 3"), "{broken}");
        assert!(refusal(b"[1, 2]", &anywhere).contains("something else"));
        assert!(refusal(&[0xff, 0xfe, 0], &anywhere).contains("no tuning file"));
        assert!(refusal(&vec![b' '; MAX_LEN as usize + 1], &anywhere).contains("bytes long"));
        let missing = check(Path::new("/nowhere/imx219.json"), &anywhere).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read /nowhere/imx219.json: "), "{missing}");
        assert!(check(Path::new("/"), &anywhere).is_err(), "a folder");
    }

    #[test]
    fn a_file_for_another_board_is_refused_before_it_costs_the_camera() {
        let for_four = b"{ \"version\": 2.0, \"target\": \"bcm2835\", \"algorithms\": [] }";
        assert!(check(file(for_four).path(), &pi("bcm2711")).is_ok());
        assert!(check(file(for_four).path(), &Board::default()).is_ok(), "not on a Pi");
        let told = refusal(for_four, &pi("bcm2712"));
        assert!(told.contains("this one has \"pisp\""), "{told}");
        let for_five = b"{ \"target\": \"pisp\" }";
        assert!(check(file(for_five).path(), &pi("bcm2712")).is_ok());
        assert!(check(file(for_five).path(), &pi("bcm2837")).is_err());
    }

    #[test]
    fn the_environment_is_not_changed_under_other_threads() {
        // The test's own harness is another thread.
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || stopped.recv());
        let told = tell_libcamera(Path::new("/tuning.json")).unwrap_err().to_string();
        assert!(told.contains("LIBCAMERA_RPI_TUNING_FILE=/tuning.json"), "{told}");
        assert_eq!(std::env::var_os(VARIABLE), None);
        drop(stop);
        let _ = other.join();
    }
}
