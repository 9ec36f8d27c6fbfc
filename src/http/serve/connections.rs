//! Which connections stay when there is no room for all.
//!
//! A newcomer is worth more than a connection that waits for its client, so one of those is closed
//! for it: from the network that has the most, there one that is not brand-new, then by what it is
//! at, then the one that has been at it longest. So many clients that never finish a request take
//! turns with one another, and clients from many networks, however they hold on, never keep out one
//! from yet another network. A network also has a limit of its own, so that one machine makes room
//! at its own expense.
//!
//! A proxy is many clients behind one address, and so are this machine's own programs, which may
//! be one. Together they have half of the connections, and everybody else the other half; either has all
//! of it as long as the other does not ask.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use crate::config::Subnet;
use crate::web::network_of;

/// What a connection is at, the least worth keeping first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::http) enum Phase {
    /// For the next request, or the rest of its head.
    Waiting,
    /// For the rest of a request's body.
    Receiving,
    /// Its answer is being sent.
    Sending,
    /// A handler is at work, which takes as long as it takes.
    Handling,
}

/// What a network may have without being told from one that has less: as many as a browser opens
/// at once, and its neighbour's.
const FAIR_SHARE: usize = 12;

/// For how long a newcomer is brand-new: it gets its request across, and mostly its answer back.
const GRACE: Duration = Duration::from_secs(1);

/// File descriptors left for all else when connections have used them up.
const RESERVED_DESCRIPTORS: usize = 16;

/// Bounds of the table.
#[derive(Debug, Clone)]
pub(super) struct ConnectionLimits {
    pub(super) total: usize,
    pub(super) per_network: usize,
    /// Addresses that many clients are behind, besides this machine's own.
    pub(super) proxies: Vec<Subnet>,
}

/// Whom connections count for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ClientGroup {
    Network(IpAddr),
    /// This machine and the proxies.
    Proxies,
}

/// All connections.
#[derive(Clone)]
pub(super) struct ConnectionTable(Arc<Mutex<Table>>);

struct Table {
    limits: ConnectionLimits,
    next: u64,
    entries: HashMap<u64, Entry>,
}

struct Entry {
    group: ClientGroup,
    arrived: Instant,
    phase: Phase,
    since: Instant,
    task: Option<AbortHandle>,
}

/// A connection's slot in the table; gone with it.
pub(in crate::http) struct ConnectionSlot {
    connections: ConnectionTable,
    number: u64,
}

impl ConnectionTable {
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        Self(Arc::new(Mutex::new(Table { limits, next: 0, entries: HashMap::new() })))
    }

    /// A slot for a newcomer, at the expense of another if need be; `None` when all are at work.
    pub(super) fn admit(&self, address: IpAddr, now: Instant) -> Option<ConnectionSlot> {
        let mut table = self.table();
        let group = table.limits.group_of(address);
        let from_there = table.entries.values().filter(|e| e.group == group).count();
        if matches!(group, ClientGroup::Network(_)) && from_there >= table.limits.per_network {
            table.close_one_of(group, now).then_some(())?;
        } else if table.entries.len() >= table.limits.total {
            table.close_one(Some(group), now).then_some(())?;
        }
        let number = table.next;
        table.next += 1;
        let entry = Entry { group, arrived: now, phase: Phase::Waiting, since: now, task: None };
        table.entries.insert(number, entry);
        drop(table);
        Some(ConnectionSlot { connections: self.clone(), number })
    }

    /// Assumes that the system has no room for more than there are now, and makes some to spare.
    /// Gives the new bound.
    pub(super) fn shrink(&self) -> usize {
        let now = Instant::now();
        let mut table = self.table();
        let bound =
            table.entries.len().saturating_sub(RESERVED_DESCRIPTORS).max(RESERVED_DESCRIPTORS);
        table.limits.total = bound.min(table.limits.total);
        while table.entries.len() > table.limits.total && table.close_one(None, now) {}
        table.limits.total
    }

    /// Most connections that are kept.
    pub(super) fn bound(&self) -> usize {
        self.table().limits.total
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionLimits {
    fn group_of(&self, address: IpAddr) -> ClientGroup {
        let is_proxy = |proxies: &Subnet| proxies.contains(address);
        match address.to_canonical().is_loopback() || self.proxies.iter().any(is_proxy) {
            true => ClientGroup::Proxies,
            false => ClientGroup::Network(network_of(address)),
        }
    }

    /// How soon a group that has `count` makes room, the larger the sooner.
    fn excess(&self, group: ClientGroup, count: usize) -> usize {
        match group {
            ClientGroup::Network(_) => 1 + count.saturating_sub(FAIR_SHARE),
            ClientGroup::Proxies if count > self.total / 2 => usize::MAX,
            // The others have more than half, all of them together.
            ClientGroup::Proxies => 0,
        }
    }
}

impl Table {
    /// Closes the least worth keeping, where a connection of `newcomer` is to come on top.
    fn close_one(&mut self, newcomer: Option<ClientGroup>, now: Instant) -> bool {
        let mut counts = HashMap::new();
        for group in self.entries.values().map(|e| e.group).chain(newcomer) {
            *counts.entry(group).or_default() += 1;
        }
        let excess = |entry: &Entry| self.limits.excess(entry.group, counts[&entry.group]);
        let least =
            self.idle().min_by_key(|(number, e)| (Reverse(excess(e)), e.rank(**number, now)));
        self.close(least.map(|(number, _)| *number))
    }

    /// The same among those of `group`.
    fn close_one_of(&mut self, group: ClientGroup, now: Instant) -> bool {
        let from_there = self.idle().filter(|(_, e)| e.group == group);
        let least = from_there.min_by_key(|(number, e)| e.rank(**number, now));
        self.close(least.map(|(number, _)| *number))
    }

    /// Those that can be closed.
    fn idle(&self) -> impl Iterator<Item = (&u64, &Entry)> {
        self.entries.iter().filter(|(_, e)| e.phase != Phase::Handling)
    }

    fn close(&mut self, number: Option<u64>) -> bool {
        let Some(entry) = number.and_then(|number| self.entries.remove(&number)) else {
            return false;
        };
        if let Some(task) = entry.task {
            task.abort();
        }
        true
    }
}

impl Entry {
    /// What it is worth among those of equal groups; the least first.
    fn rank(&self, number: u64, now: Instant) -> (bool, Phase, Instant, u64) {
        (now < self.arrived + GRACE, self.phase, self.since, number)
    }
}

impl ConnectionSlot {
    /// The task to end when the slot is given to somebody else.
    pub(super) fn set_task(&self, task: AbortHandle) {
        match self.connections.table().entries.get_mut(&self.number) {
            Some(entry) => entry.task = Some(task),
            // Given away before it was known whose it is.
            None => task.abort(),
        }
    }

    pub(in crate::http) fn set_phase(&self, phase: Phase) {
        let now = Instant::now();
        if let Some(entry) = self.connections.table().entries.get_mut(&self.number) {
            (entry.phase, entry.since) = (phase, now);
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.connections.table().entries.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn table(total: usize, per_network: usize) -> ConnectionTable {
        ConnectionTable::new(ConnectionLimits { total, per_network, proxies: Vec::new() })
    }

    fn address(n: u8) -> IpAddr {
        [192, 0, 2, n].into()
    }

    /// Connections that hold bodies, `count` from each group.
    fn hold_bodies(
        connections: &ConnectionTable,
        groups: impl IntoIterator<Item = IpAddr>,
        count: usize,
        now: Instant,
    ) -> Vec<ConnectionSlot> {
        let all = groups.into_iter().flat_map(|group| std::iter::repeat_n(group, count));
        all.filter_map(|group| connections.admit(group, now))
            .inspect(|slot| slot.set_phase(Phase::Receiving))
            .collect()
    }

    fn open(slots: &[ConnectionSlot]) -> usize {
        slots.iter().filter(|slot| slot.is_open()).count()
    }

    impl ConnectionSlot {
        fn is_open(&self) -> bool {
            self.connections.table().entries.contains_key(&self.number)
        }
    }

    #[test]
    fn the_one_that_has_waited_longest_makes_room() {
        let (connections, now) = (table(4, 2), Instant::now());
        let slots: Vec<ConnectionSlot> = (0..5)
            .map(|n| {
                let now = now + Duration::from_millis(u64::from(n));
                connections.admit(address(n), now).unwrap()
            })
            .collect();
        let open: Vec<bool> = slots.iter().map(ConnectionSlot::is_open).collect();
        assert_eq!(open, [false, true, true, true, true]);
    }

    #[test]
    fn who_is_at_work_is_not_closed_and_who_reads_its_answer_only_last() {
        let (connections, now) = (table(4, 2), Instant::now());
        let slots: Vec<ConnectionSlot> =
            (0..4).map(|n| connections.admit(address(n), now).unwrap()).collect();
        let phases = [Phase::Handling, Phase::Sending, Phase::Receiving, Phase::Waiting];
        for (slot, phase) in slots.iter().zip(phases) {
            slot.set_phase(phase);
        }
        let mut newcomers = Vec::new();
        for (n, expected) in [
            (10, [true, true, true, false]),
            (11, [true, true, false, false]),
            (12, [true, false, false, false]),
        ] {
            let newcomer = connections.admit(address(n), now).unwrap();
            newcomer.set_phase(Phase::Handling);
            newcomers.push(newcomer);
            let open: Vec<bool> = slots.iter().map(ConnectionSlot::is_open).collect();
            assert_eq!(open, expected);
        }
        assert!(connections.admit(address(9), now).is_none());
    }

    #[test]
    fn an_address_makes_room_at_its_own_expense() {
        let (connections, now) = (table(4, 2), Instant::now());
        let other = connections.admit(address(1), now).unwrap();
        let first = connections.admit(address(2), now).unwrap();
        let second = connections.admit(address(2), now).unwrap();
        let third = connections.admit(address(2), now).unwrap();
        assert!(other.is_open() && !first.is_open() && second.is_open() && third.is_open());
        second.set_phase(Phase::Handling);
        third.set_phase(Phase::Handling);
        assert!(connections.admit(address(2), now).is_none());
    }

    #[test]
    fn where_the_system_has_less_room_the_bound_follows() {
        let (connections, now) = (table(1000, 1000), Instant::now());
        let mut slots: Vec<_> = (0..100).map(|_| connections.admit(address(1), now)).collect();
        assert_eq!(connections.shrink(), 100 - RESERVED_DESCRIPTORS);
        slots.push(connections.admit(address(2), now));
        let open = slots.iter().flatten().filter(|p| p.is_open()).count();
        assert_eq!(open, 100 - RESERVED_DESCRIPTORS);
    }

    #[test]
    fn a_place_is_free_when_its_connection_ends() {
        let (connections, now) = (table(4, 2), Instant::now());
        drop(connections.admit(address(1), now));
        assert_eq!(connections.table().entries.len(), 0);
    }

    #[test]
    fn who_comes_from_elsewhere_stays_beside_sources_that_hold_all_the_room() {
        let connections = table(512, 64);
        let now = Instant::now();
        // In the second that follows, and after it.
        for now in [now, now + GRACE, now + GRACE * 2] {
            let mut held = hold_bodies(&connections, (0..8).map(address), 64, now);
            let newcomers: Vec<ConnectionSlot> =
                (100..120).map(|n| connections.admit(address(n), now).unwrap()).collect();
            held.extend(hold_bodies(&connections, (0..8).map(address), 64, now + GRACE * 2));
            assert_eq!(open(&newcomers), 20);
        }
    }

    #[test]
    fn one_network_of_ipv6_is_one_source() {
        let connections = table(512, 64);
        let now = Instant::now();
        let attackers = (0..512).map(|n| std::net::Ipv6Addr::from_bits((0x2001_0db8 << 96) | n));
        let held = hold_bodies(&connections, attackers.map(IpAddr::from), 1, now);
        assert_eq!(open(&held), 64);
    }

    #[test]
    fn a_newcomer_has_a_moment_beside_as_many_sources_as_there_is_room() {
        let connections = table(40, 64);
        let before = Instant::now();
        let held = hold_bodies(&connections, (0..40).map(address), 1, before);
        let now = before + GRACE;
        let newcomers: Vec<ConnectionSlot> =
            (100..120).map(|n| connections.admit(address(n), now).unwrap()).collect();
        assert_eq!((open(&held), open(&newcomers)), (20, 20));
        // Afterwards it is one of many.
        let others = hold_bodies(&connections, (50..90).map(address), 1, now + GRACE);
        assert_eq!((open(&held), open(&newcomers), open(&others)), (0, 0, 40));
    }

    #[test]
    fn all_that_a_browser_opens_stays_beside_as_many_sources_as_there_is_room() {
        let connections = table(40, 64);
        let before = Instant::now();
        let held = hold_bodies(&connections, (0..40).map(address), 1, before);
        let now = before + GRACE;
        let browser: Vec<ConnectionSlot> =
            (0..6).map(|_| connections.admit(address(100), now).unwrap()).collect();
        let later = hold_bodies(&connections, (50..60).map(address), 1, now);
        assert_eq!((open(&held), open(&browser), open(&later)), (24, 6, 10));
    }

    #[test]
    fn who_comes_by_a_proxy_and_who_does_not_leave_each_other_room() {
        let proxies = vec!["198.51.100.0/24".parse().unwrap()];
        for proxy in ["127.0.0.1", "::1", "198.51.100.7"] {
            let proxy: IpAddr = proxy.parse().unwrap();
            let limits = ConnectionLimits { total: 100, per_network: 20, proxies: proxies.clone() };
            let connections = ConnectionTable::new(limits);
            let now = Instant::now();
            let by_proxy = hold_bodies(&connections, [proxy], 150, now);
            assert_eq!(open(&by_proxy), 100, "all of it, where nobody else asks");
            let direct = hold_bodies(&connections, (0..20).map(address), 20, now);
            assert_eq!((open(&by_proxy), open(&direct)), (50, 50));
            let later = now + GRACE;
            let again = hold_bodies(&connections, [proxy], 100, later);
            assert_eq!((open(&by_proxy) + open(&again), open(&direct)), (50, 50));
            let newcomers =
                [connections.admit(proxy, later), connections.admit(address(99), later)];
            let again = hold_bodies(&connections, (0..20).map(address), 2, later);
            assert!(newcomers.iter().flatten().all(ConnectionSlot::is_open), "{}", open(&again));
        }
    }
}
