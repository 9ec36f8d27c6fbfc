//! Whether a system that was started for the first time is kept: a machine without clock of its own.

use std::time::{Duration, Instant};

use super::super::daemon::Health;
use crate::appliance::CameraReport;

/// How long a new system has to show that it works.
pub(super) const PATIENCE: Duration = Duration::from_secs(3 * 60);

/// What a system on trial has shown so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Evidence {
    /// The daemon says that it is well.
    pub(super) health: Health,
    /// The camera, as the daemon sees it.
    pub(super) camera: CameraReport,
    /// Its pages answer.
    pub(super) answers: bool,
    /// The system before had a camera that worked: a test picture in its place is not enough.
    pub(super) camera_before: bool,
}

impl Evidence {
    /// It shows what it should.
    const fn shows(&self) -> bool {
        self.camera.works() || (self.camera.picture && !self.camera_before)
    }
}

/// What is done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has some time left.
    Wait,
    /// It is kept.
    Keep,
    /// It is not, for this reason.
    FallBack(String),
}

/// Judges a system that was started at `start`.
pub(super) fn judge(evidence: &Evidence, start: Instant, now: Instant) -> Verdict {
    let Evidence { health, camera, answers, .. } = evidence;
    let shows = evidence.shows();
    if *health == Health::Well && shows && *answers {
        return Verdict::Keep;
    }
    if now.duration_since(start) < PATIENCE {
        return Verdict::Wait;
    }
    let minutes = PATIENCE.as_secs() / 60;
    Verdict::FallBack(match (health, shows, &camera.fault) {
        (Health::Failing(times), ..) => format!("its daemon ended {times} times in a row"),
        (_, false, Some(fault)) => format!("no picture within {minutes} minutes: {fault}"),
        (_, false, None) => format!("no picture within {minutes} minutes"),
        (_, true, _) if !answers => format!("its pages did not answer within {minutes} minutes"),
        _ => format!("its daemon was not well within {minutes} minutes"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(health: Health, picture: bool, answers: bool) -> Evidence {
        let camera = CameraReport { picture, ..CameraReport::default() };
        Evidence { health, camera, answers, camera_before: true }
    }

    #[test]
    fn a_system_is_kept_when_a_picture_was_made_and_its_pages_answer() {
        let start = Instant::now();
        let judge = |health, picture, answers, seconds| {
            let now = start + Duration::from_secs(seconds);
            super::judge(&evidence(health, picture, answers), start, now)
        };
        assert_eq!(judge(Health::Well, true, true, 1), Verdict::Keep);
        for (health, picture, answers) in [
            (Health::Starting, true, true),
            (Health::Well, false, true),
            (Health::Well, true, false),
            (Health::Failing(3), false, false),
        ] {
            assert_eq!(judge(health, picture, answers, 179), Verdict::Wait);
            assert!(matches!(judge(health, picture, answers, 180), Verdict::FallBack(_)));
        }
    }

    #[test]
    fn a_test_picture_is_enough_only_where_there_was_no_camera_before() {
        let start = Instant::now();
        let mut evidence = evidence(Health::Well, true, true);
        evidence.camera.fault = Some("none was found".into());
        assert_eq!(judge(&evidence, start, start), Verdict::Wait);
        let verdict = judge(&evidence, start, start + PATIENCE);
        let why = "no picture within 3 minutes: none was found".to_owned();
        assert_eq!(verdict, Verdict::FallBack(why));
        evidence.camera_before = false;
        assert_eq!(judge(&evidence, start, start), Verdict::Keep);
    }

    #[test]
    fn the_reason_is_told() {
        let start = Instant::now();
        let late = start + PATIENCE;
        let mut no_camera = evidence(Health::Well, false, true);
        no_camera.camera.fault = Some("no camera".into());
        let told = |evidence: &Evidence| match judge(evidence, start, late) {
            Verdict::FallBack(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(told(&no_camera), "no picture within 3 minutes: no camera");
        let failing = evidence(Health::Failing(7), false, false);
        assert_eq!(told(&failing), "its daemon ended 7 times in a row");
    }
}
