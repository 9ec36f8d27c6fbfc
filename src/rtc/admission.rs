//! Who gets a place among the offers that have not connected yet.
//!
//! An offer costs its sender little and us a session for ten seconds, so there is room for so many
//! and no more. Nobody is kept out by who floods: each credential, and each network that it is
//! shown from, has its share, and past that is told to come back. Where all shares together are too
//! many, whoever has most gives way.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;

use super::holder::Caller;
use crate::web::network_of;

/// Places in all, those of one credential, and those of one credential from one network.
const PLACES: usize = 256;
const OF_CREDENTIAL: usize = 192;
const OF_ONE: usize = 128;

/// A place that is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken<P> {
    pub(super) by: Caller,
    /// Which place it is. The lower, the older.
    pub(super) place: P,
}

/// Whether there is a place for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission<P> {
    Free,
    /// If this one gives way.
    InPlaceOf(P),
    /// The newcomer has its share already.
    Refused,
}

pub(super) fn admit<P: Copy + Ord>(taken: &[Taken<P>], newcomer: &Caller) -> Admission<P> {
    let one = |by: &Caller| (by.holder, network_of(by.path.viewer));
    let holder = |by: &Caller| by.holder;
    let of_one = taken.iter().filter(|t| one(&t.by) == one(newcomer)).count();
    if of_one >= OF_ONE {
        return Admission::Refused;
    }
    let same: Vec<Taken<P>> =
        taken.iter().filter(|t| t.by.holder == newcomer.holder).copied().collect();
    let crowd = if same.len() >= OF_CREDENTIAL {
        same
    } else if taken.len() >= PLACES {
        largest(taken, holder)
    } else {
        return Admission::Free;
    };
    let oldest = largest(&crowd, one).iter().map(|t| t.place).min();
    oldest.map_or(Admission::Refused, Admission::InPlaceOf)
}

/// Those who have most of all that are told apart by `key`.
fn largest<P: Copy + Ord, K: Eq + Hash>(
    taken: &[Taken<P>],
    key: impl Fn(&Caller) -> K,
) -> Vec<Taken<P>> {
    let mut of: HashMap<K, Vec<Taken<P>>> = HashMap::new();
    taken.iter().for_each(|t| of.entry(key(&t.by)).or_default().push(*t));
    // Of equals, who came first.
    let oldest = |crowd: &Vec<Taken<P>>| crowd.iter().map(|t| t.place).min();
    of.into_values().max_by_key(|crowd| (crowd.len(), Reverse(oldest(crowd)))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtc::{Holder, SignallingPath};

    fn caller(token: u8, viewer: &str) -> Caller {
        let path = SignallingPath { viewer: viewer.parse().unwrap(), camera: None };
        Caller { holder: Holder::viewer([token; 16]), path }
    }

    /// The places after `offers` have come one after the other.
    fn after(offers: impl IntoIterator<Item = Caller>) -> Vec<Taken<usize>> {
        let mut taken: Vec<Taken<usize>> = Vec::new();
        for (place, by) in offers.into_iter().enumerate() {
            match admit(&taken, &by) {
                Admission::Refused => continue,
                Admission::InPlaceOf(other) => taken.retain(|t| t.place != other),
                Admission::Free => {}
            }
            taken.push(Taken { by, place });
        }
        taken
    }

    fn flood(token: u8, viewer: &str) -> impl Iterator<Item = Caller> {
        std::iter::repeat_n(caller(token, viewer), 1000)
    }

    #[test]
    fn who_floods_is_refused_and_the_others_have_room() {
        let taken = after(flood(1, "192.0.2.1"));
        assert_eq!(taken.len(), OF_ONE);
        assert_eq!(admit(&taken, &caller(1, "192.0.2.1")), Admission::Refused);
        assert_eq!(admit(&taken, &caller(2, "192.0.2.1")), Admission::Free);
        assert_eq!(admit(&taken, &caller(1, "192.0.2.2")), Admission::Free);
        let by_ipv6 = after((0..1000).map(|n| caller(1, &format!("2001:db8::{n:x}"))));
        assert_eq!(by_ipv6.len(), OF_ONE, "one network is one sender");
    }

    #[test]
    fn who_shares_a_token_with_those_who_flood_gets_in_at_their_expense() {
        let taken = after(flood(1, "192.0.2.1").chain(flood(1, "192.0.2.2")));
        assert_eq!(taken.len(), OF_CREDENTIAL);
        let admission = admit(&taken, &caller(1, "192.0.2.3"));
        assert!(matches!(admission, Admission::InPlaceOf(_)), "{admission:?}");
        assert_eq!(admit(&taken, &caller(2, "192.0.2.3")), Admission::Free);
    }

    #[test]
    fn where_many_flood_whoever_has_most_gives_way() {
        let mut offers: Vec<Caller> = vec![caller(9, "192.0.2.9")];
        offers.extend(flood(1, "192.0.2.1").chain(flood(2, "192.0.2.1")));
        let mut taken = after(offers);
        assert_eq!(taken.len(), PLACES);
        for n in 0..100 {
            let newcomer = caller(10 + n, "192.0.2.1");
            let Admission::InPlaceOf(place) = admit(&taken, &newcomer) else { panic!("{n}") };
            assert!(place != 0, "who came first and has one place keeps it");
            taken.retain(|t| t.place != place);
            taken.push(Taken { by: newcomer, place: 10_000 + usize::from(n) });
        }
    }
}
