//! Pictures cut for sending, each once for all sessions.

use std::collections::VecDeque;
use std::sync::Arc;

use super::packetize::Cut;
use super::session::Cutter;
use crate::hub::Published;
use crate::media::h264::{NalType, ProfileLevel};

/// Cut pictures kept for sessions that come for them a little later.
const MAX_CUTS: usize = 64;

/// The newest of them, the latest last.
#[derive(Default)]
pub(super) struct Cuts {
    kept: VecDeque<Arc<Cut>>,
    /// What the newest key picture among them says of the stream.
    profile: Option<ProfileLevel>,
}

impl Cuts {
    /// What the stream is, by the newest key picture that was cut.
    pub(super) fn profile(&self) -> Option<ProfileLevel> {
        self.profile
    }

    pub(super) fn newest(&self) -> Option<&Published> {
        Some(&*self.kept.back()?.picture)
    }
}

impl Cutter for Cuts {
    fn cut(&mut self, picture: &Arc<Published>) -> Arc<Cut> {
        let found = self.kept.iter().rev().find(|c| Arc::ptr_eq(&c.picture, picture));
        if let Some(cut) = found {
            return cut.clone();
        }
        let cut = Arc::new(Cut::new(picture.clone()));
        if picture.unit.is_key() {
            self.profile = profile_of(picture);
        }
        if self.kept.len() == MAX_CUTS {
            self.kept.pop_front();
        }
        self.kept.push_back(cut.clone());
        cut
    }
}

/// What the SPS in a key picture says of the stream.
pub(super) fn profile_of(picture: &Published) -> Option<ProfileLevel> {
    let sps = picture.unit.nals().find(|nal| NalType::of(nal) == NalType::Sps)?;
    match *sps {
        [_, profile_idc, constraints, level_idc, ..] => {
            Some(ProfileLevel { profile_idc, constraints, level_idc })
        }
        _ => None,
    }
}
