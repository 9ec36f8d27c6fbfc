//! Who gets a place among the offers that have not connected yet.
//!
//! An offer costs its sender little and us a session for ten seconds, so there is room for so many
//! and no more. Nobody is kept out by who floods: each credential, and each network that it is
//! shown from, has its share, and past that its own oldest offers give way. Where all shares together
//! are too many, whoever has most gives way. Who sends more than anybody has viewers for is told to come
//! back ([`Rates`]).

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Instant;

use super::caller::Caller;
use crate::web::Holder;
use crate::web::network_of;

/// Places in all, those of one credential, and those of one credential from one network.
const PLACES: usize = 256;
const OF_CREDENTIAL: usize = 192;
const OF_ONE: usize = 128;

/// Offers that one sender has at once, and how many more each second: far more than people press.
const BURST: f64 = 256.0;
const PER_SECOND: f64 = 50.0;

/// Senders remembered. One that has sent nothing for five seconds is forgotten.
const MAX_SENDERS: usize = 1024;

/// A place that is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken<P> {
    pub(super) by: Caller,
    /// Which place it is. The lower, the older.
    pub(super) place: P,
}

/// A credential as it is shown from one network.
type Sender = (Holder, IpAddr);

fn sender(by: &Caller) -> Sender {
    (by.holder, network_of(by.path.viewer))
}

/// Which place the newcomer gets at whose expense; a free one for `None`.
pub(super) fn admit<P: Copy + Ord>(taken: &[Taken<P>], newcomer: &Caller) -> Option<P> {
    let of = |is_of: &dyn Fn(&Caller) -> bool| -> Vec<Taken<P>> {
        taken.iter().filter(|t| is_of(&t.by)).copied().collect()
    };
    let own = of(&|by| sender(by) == sender(newcomer));
    let same = of(&|by| by.holder == newcomer.holder);
    let crowd = if own.len() >= OF_ONE {
        own
    } else if same.len() >= OF_CREDENTIAL {
        same
    } else if taken.len() >= PLACES {
        largest(taken, |by| by.holder)
    } else {
        return None;
    };
    largest(&crowd, sender).iter().map(|t| t.place).min()
}

/// How fast offers come, by their senders.
#[derive(Debug, Default)]
pub(super) struct Rates(HashMap<Sender, (Instant, f64)>);

impl Rates {
    /// Whether this one is not one too many.
    pub(super) fn allow(&mut self, by: &Caller, now: Instant) -> bool {
        let left = |(at, left): (Instant, f64)| {
            (left + now.saturating_duration_since(at).as_secs_f64() * PER_SECOND).min(BURST)
        };
        let own = self.0.get(&sender(by)).map_or(BURST, |known| left(*known));
        if own < 1.0 {
            return false;
        }
        if self.0.len() >= MAX_SENDERS {
            self.0.retain(|_, known| left(*known) < BURST);
        }
        // Who is not remembered is not held back; there are the shares.
        if self.0.len() < MAX_SENDERS || self.0.contains_key(&sender(by)) {
            self.0.insert(sender(by), (now, own - 1.0));
        }
        true
    }
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
    use std::time::Duration;

    use super::*;
    use crate::webrtc::SignallingPath;

    fn caller(token: u8, viewer: &str) -> Caller {
        let path = SignallingPath { viewer: viewer.parse().unwrap(), camera: None };
        Caller { holder: Holder::viewer([token; 16]), path }
    }

    /// The places after `offers` have come one after the other.
    fn after(offers: impl IntoIterator<Item = Caller>) -> Vec<Taken<usize>> {
        let mut taken: Vec<Taken<usize>> = Vec::new();
        for (place, by) in offers.into_iter().enumerate() {
            if let Some(other) = admit(&taken, &by) {
                taken.retain(|t| t.place != other);
            }
            taken.push(Taken { by, place });
        }
        taken
    }

    fn flood(token: u8, viewer: &str) -> impl Iterator<Item = Caller> {
        std::iter::repeat_n(caller(token, viewer), 1000)
    }

    #[test]
    fn who_floods_does_so_at_its_own_expense_and_the_others_have_room() {
        let taken = after(flood(1, "192.0.2.1"));
        assert_eq!(taken.len(), OF_ONE);
        assert_eq!(admit(&taken, &caller(1, "192.0.2.1")), Some(1000 - OF_ONE));
        assert_eq!(admit(&taken, &caller(2, "192.0.2.1")), None);
        assert_eq!(admit(&taken, &caller(1, "192.0.2.2")), None);
        let by_ipv6 = after((0..1000).map(|n| caller(1, &format!("2001:db8::{n:x}"))));
        assert_eq!(by_ipv6.len(), OF_ONE, "one network is one sender");
    }

    #[test]
    fn who_sends_without_end_is_told_to_come_back_and_nobody_else_is() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        let (flooder, other) = (caller(1, "192.0.2.1"), caller(2, "192.0.2.1"));
        let taken = (0..10_000).filter(|n| {
            let now = start + Duration::from_millis(*n);
            assert!(n % 100 != 0 || rates.allow(&other, now), "ten a second");
            rates.allow(&flooder, now)
        });
        // In ten seconds.
        assert!((700..=760).contains(&taken.count()));
        assert!(rates.allow(&flooder, start + Duration::from_secs(11)));
    }

    #[test]
    fn senders_without_end_take_no_memory() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        for n in 0..10_000 {
            assert!(rates.allow(&caller(1, &format!("10.0.{}.{}", n / 256, n % 256)), now));
        }
        assert_eq!(rates.0.len(), MAX_SENDERS);
        assert!(rates.allow(&caller(2, "192.0.2.1"), now + Duration::from_secs(6)));
        assert_eq!(rates.0.len(), 1);
    }

    #[test]
    fn who_shares_a_token_with_those_who_flood_gets_in_at_their_expense() {
        let taken = after(flood(1, "192.0.2.1").chain(flood(1, "192.0.2.2")));
        assert_eq!(taken.len(), OF_CREDENTIAL);
        assert!(admit(&taken, &caller(1, "192.0.2.3")).is_some());
        assert_eq!(admit(&taken, &caller(2, "192.0.2.3")), None);
    }

    #[test]
    fn where_many_flood_whoever_has_most_gives_way() {
        let mut offers: Vec<Caller> = vec![caller(9, "192.0.2.9")];
        offers.extend(flood(1, "192.0.2.1").chain(flood(2, "192.0.2.1")));
        let mut taken = after(offers);
        assert_eq!(taken.len(), PLACES);
        for n in 0..100 {
            let newcomer = caller(10 + n, "192.0.2.1");
            let place = admit(&taken, &newcomer).unwrap();
            assert!(place != 0, "who came first and has one place keeps it");
            taken.retain(|t| t.place != place);
            taken.push(Taken { by: newcomer, place: 10_000 + usize::from(n) });
        }
    }
}
