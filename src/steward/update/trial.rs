//! Whether a system that was started for the first time is kept. Time is passed in.

use std::time::{Duration, Instant};

use crate::appliance::CameraReport;
use crate::steward::daemon::DaemonHealth;

/// How long a new system has to show that it works.
pub(super) const TRIAL_TIME: Duration = Duration::from_secs(3 * 60);

/// What a system on trial has shown so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Evidence {
    /// How the daemon is doing.
    pub(super) health: DaemonHealth,
    /// The camera, as the daemon reports it.
    pub(super) camera: CameraReport,
    /// Whether its HTTP server responds.
    pub(super) responds: bool,
    /// Whether the system before had a working camera: then the test picture is not enough.
    pub(super) camera_before: bool,
}

impl Evidence {
    /// Whether it shows what it should.
    const fn shows_picture(&self) -> bool {
        self.camera.works() || (self.camera.picture && !self.camera_before)
    }
}

/// What is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TrialDecision {
    /// It has time left.
    Wait,
    /// The system is kept.
    Keep,
    /// It is rolled back, for this reason.
    RollBack(String),
}

/// Decides about a system that was started at `start`.
pub(super) fn decide(evidence: &Evidence, start: Instant, now: Instant) -> TrialDecision {
    let Evidence { health, camera, responds, .. } = evidence;
    let shows = evidence.shows_picture();
    if *health == DaemonHealth::Healthy && shows && *responds {
        return TrialDecision::Keep;
    }
    if now.duration_since(start) < TRIAL_TIME {
        return TrialDecision::Wait;
    }
    let minutes = TRIAL_TIME.as_secs() / 60;
    TrialDecision::RollBack(match (health, shows, &camera.fault) {
        (DaemonHealth::Failing(times), ..) => format!("its daemon ended {times} times in a row"),
        (_, false, Some(fault)) => format!("no picture within {minutes} minutes: {fault}"),
        (_, false, None) => format!("no picture within {minutes} minutes"),
        (_, true, _) if !responds => format!("its pages did not respond within {minutes} minutes"),
        _ => format!("its daemon was not healthy within {minutes} minutes"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(health: DaemonHealth, picture: bool, responds: bool) -> Evidence {
        let camera = CameraReport { picture, ..CameraReport::default() };
        Evidence { health, camera, responds, camera_before: true }
    }

    #[test]
    fn a_system_is_kept_when_a_picture_was_made_and_its_pages_answer() {
        let start = Instant::now();
        let decide = |health, picture, responds, seconds| {
            let now = start + Duration::from_secs(seconds);
            super::decide(&evidence(health, picture, responds), start, now)
        };
        assert_eq!(decide(DaemonHealth::Healthy, true, true, 1), TrialDecision::Keep);
        for (health, picture, responds) in [
            (DaemonHealth::Starting, true, true),
            (DaemonHealth::Healthy, false, true),
            (DaemonHealth::Healthy, true, false),
            (DaemonHealth::Failing(3), false, false),
        ] {
            assert_eq!(decide(health, picture, responds, 179), TrialDecision::Wait);
            assert!(matches!(decide(health, picture, responds, 180), TrialDecision::RollBack(_)));
        }
    }

    #[test]
    fn a_test_picture_is_enough_only_where_there_was_no_camera_before() {
        let start = Instant::now();
        let mut evidence = evidence(DaemonHealth::Healthy, true, true);
        evidence.camera.fault = Some("none was found".into());
        assert_eq!(decide(&evidence, start, start), TrialDecision::Wait);
        let decision = decide(&evidence, start, start + TRIAL_TIME);
        let why = "no picture within 3 minutes: none was found".to_owned();
        assert_eq!(decision, TrialDecision::RollBack(why));
        evidence.camera_before = false;
        assert_eq!(decide(&evidence, start, start), TrialDecision::Keep);
    }

    #[test]
    fn the_reason_is_told() {
        let start = Instant::now();
        let late = start + TRIAL_TIME;
        let mut no_camera = evidence(DaemonHealth::Healthy, false, true);
        no_camera.camera.fault = Some("no camera".into());
        let told = |evidence: &Evidence| match decide(evidence, start, late) {
            TrialDecision::RollBack(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(told(&no_camera), "no picture within 3 minutes: no camera");
        let failing = evidence(DaemonHealth::Failing(7), false, false);
        assert_eq!(told(&failing), "its daemon ended 7 times in a row");
    }
}
