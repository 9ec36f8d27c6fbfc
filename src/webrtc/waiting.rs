//! Offers that came before the stream's first key frame, or before one that suits them.
//!
//! An answer quotes the stream's own SPS, and the camera starts only when somebody comes; so the
//! first viewer's answer waits for the first picture. It could show nothing earlier anyway. One
//! that cannot decode the source's own H.264 waits until that is encoded again. For a moment
//! it also waits for STUN and TURN servers that have just been asked for our address.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::caller::Caller;
use super::command::{OfferError, OfferReply};
use super::sdp::Offer;
use crate::hub::Viewer;
use crate::media::h264::ProfileLevel;

/// How long an answer waits for a picture. Then the settings' expectation has to do.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long an answer waits for what STUN and TURN servers say of our address; it cannot be told
/// later (WHEP has no way for the server to trickle).
const GATHERING: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct Waiting {
    offers: VecDeque<Waited>,
}

/// An offer, and what is needed to accept it.
pub(super) struct Newcomer {
    pub(super) offer: Offer,
    pub(super) by: Caller,
    pub(super) viewer: Viewer,
}

pub(super) struct Waited {
    pub(super) newcomer: Newcomer,
    pub(super) reply: OfferReply,
    number: u64,
    since: Instant,
    /// The stream that the viewer cannot be sent; another has been asked for.
    unsuited: Option<ProfileLevel>,
}

impl Waited {
    /// Whether it has waited for another stream already.
    pub(super) fn wanted_another(&self) -> bool {
        self.unsuited.is_some()
    }
}

impl Waiting {
    /// Takes in an offer. Its number is greater than all before it.
    pub(super) fn push(
        &mut self,
        newcomer: Newcomer,
        reply: OfferReply,
        number: u64,
        now: Instant,
    ) {
        let unsuited = None;
        self.offers.push_back(Waited { newcomer, reply, number, since: now, unsuited });
    }

    /// Has an offer wait, once more as long, for another stream than this one.
    pub(super) fn wait_for_another(&mut self, waited: Waited, than: ProfileLevel, now: Instant) {
        self.offers.push_front(Waited { since: now, unsuited: Some(than), ..waited });
    }

    /// Who waits, and by which numbers.
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, Caller)> {
        self.offers.iter().map(|waited| (waited.number, waited.newcomer.by))
    }

    /// Gives this one's place to somebody else.
    pub(super) fn give_up(&mut self, number: u64) {
        let at = self.offers.iter().position(|waited| waited.number == number);
        if let Some(waited) = at.and_then(|at| self.offers.remove(at)) {
            waited.reply.send(Err(OfferError::Flood));
        }
    }

    /// Keeps those alone of whom `may_watch` is true.
    pub(super) fn retain(&mut self, may_watch: impl Fn(&Caller) -> bool) {
        let all = std::mem::take(&mut self.offers);
        let (kept, withdrawn) = all.into_iter().partition(|waited| may_watch(&waited.newcomer.by));
        self.offers = kept;
        let withdrawn: VecDeque<Waited> = withdrawn;
        for waited in withdrawn {
            waited.reply.send(Err(OfferError::Withdrawn));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.offers.len()
    }

    /// The next offer that can be answered: any when the stream's profile is `known`, else one
    /// that has waited long enough. Offers whose sender has given up are dropped.
    pub(super) fn pop(
        &mut self,
        known: Option<ProfileLevel>,
        gathering: bool,
        now: Instant,
    ) -> Option<(Waited, Option<ProfileLevel>)> {
        loop {
            let first = self.offers.front()?;
            let unknown = known.is_none_or(|known| first.unsuited == Some(known));
            let no_picture = unknown && now < first.since + PATIENCE;
            let no_address = gathering && now < first.since + GATHERING;
            if no_picture || no_address {
                return None;
            }
            let waited = self.offers.pop_front()?;
            if !waited.reply.is_abandoned() {
                return Some((waited, known));
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        // The later of the two moments is looked at again when the earlier has come.
        let now = Instant::now();
        let first = self.offers.front()?;
        [GATHERING, PATIENCE].into_iter().map(|d| first.since + d).find(|at| *at > now)
    }
}
