//! Which connections stay when there is no room for all.
//!
//! A connection that waits for its client is worth less than a newcomer: the one that has waited
//! longest is closed. So a thousand clients that never finish a request take turns with one
//! another, and keep nobody out. Per address there is a bound of its own, so that one machine
//! makes room at its own expense.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::task::AbortHandle;

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

/// File descriptors left for all else when connections have used them up.
const SPARE: usize = 16;

/// Bounds of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) in_all: usize,
    pub(super) per_address: usize,
}

/// All connections.
#[derive(Clone)]
pub(super) struct Connections(Arc<Mutex<Table>>);

struct Table {
    room: Room,
    next: u64,
    entries: HashMap<u64, Entry>,
}

struct Entry {
    /// The network its client is in.
    source: IpAddr,
    phase: Phase,
    since: Instant,
    task: Option<AbortHandle>,
}

/// A connection's place in the table; gone with it.
pub(in crate::http) struct Place {
    connections: Connections,
    number: u64,
}

impl Connections {
    pub(super) fn new(room: Room) -> Self {
        Self(Arc::new(Mutex::new(Table { room, next: 0, entries: HashMap::new() })))
    }

    /// A place for a newcomer, at the expense of another if need be; `None` when all are at work.
    pub(super) fn admit(&self, source: IpAddr, now: Instant) -> Option<Place> {
        let source = network_of(source);
        let mut table = self.table();
        let from_there = table.entries.values().filter(|e| e.source == source).count();
        // This machine's own programs, a proxy among them, are many clients behind one address.
        if !source.is_loopback() && from_there >= table.room.per_address {
            table.close_one(|e| e.source == source).then_some(())?;
        } else if table.entries.len() >= table.room.in_all {
            table.close_one(|_| true).then_some(())?;
        }
        let number = table.next;
        table.next += 1;
        let entry = Entry { source, phase: Phase::Waiting, since: now, task: None };
        table.entries.insert(number, entry);
        drop(table);
        Some(Place { connections: self.clone(), number })
    }

    /// Takes it that the system has no room for more than there are now, and makes some to spare.
    /// Gives the new bound.
    pub(super) fn shrink(&self) -> usize {
        let mut table = self.table();
        let bound = table.entries.len().saturating_sub(SPARE).max(SPARE);
        table.room.in_all = bound.min(table.room.in_all);
        while table.entries.len() > table.room.in_all && table.close_one(|_| true) {}
        table.room.in_all
    }

    /// Most connections that are kept.
    pub(super) fn bound(&self) -> usize {
        self.table().room.in_all
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Closes the least of those that are `eligible`: by phase, then the oldest.
    fn close_one(&mut self, eligible: impl Fn(&Entry) -> bool) -> bool {
        let least = self
            .entries
            .iter()
            .filter(|(_, e)| e.phase != Phase::Handling && eligible(e))
            .min_by_key(|(number, e)| (e.phase, e.since, **number))
            .map(|(number, _)| *number);
        let Some(entry) = least.and_then(|number| self.entries.remove(&number)) else {
            return false;
        };
        if let Some(task) = entry.task {
            task.abort();
        }
        true
    }
}

impl Place {
    /// The task to end when the place is given to somebody else.
    pub(super) fn occupied_by(&self, task: AbortHandle) {
        match self.connections.table().entries.get_mut(&self.number) {
            Some(entry) => entry.task = Some(task),
            // Given away before it was known whose it is.
            None => task.abort(),
        }
    }

    pub(in crate::http) fn enter(&self, phase: Phase) {
        let now = Instant::now();
        if let Some(entry) = self.connections.table().entries.get_mut(&self.number) {
            (entry.phase, entry.since) = (phase, now);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.table().entries.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ROOM: Room = Room { in_all: 4, per_address: 2 };

    fn address(n: u8) -> IpAddr {
        [192, 0, 2, n].into()
    }

    impl Place {
        fn is_open(&self) -> bool {
            self.connections.table().entries.contains_key(&self.number)
        }
    }

    #[test]
    fn the_one_that_has_waited_longest_makes_room() {
        let (connections, now) = (Connections::new(ROOM), Instant::now());
        let places: Vec<Place> = (0..5)
            .map(|n| {
                let now = now + Duration::from_millis(u64::from(n));
                connections.admit(address(n), now).unwrap()
            })
            .collect();
        let open: Vec<bool> = places.iter().map(Place::is_open).collect();
        assert_eq!(open, [false, true, true, true, true]);
    }

    #[test]
    fn who_is_at_work_is_not_closed_and_who_reads_its_answer_only_last() {
        let (connections, now) = (Connections::new(ROOM), Instant::now());
        let places: Vec<Place> =
            (0..4).map(|n| connections.admit(address(n), now).unwrap()).collect();
        let phases = [Phase::Handling, Phase::Sending, Phase::Receiving, Phase::Waiting];
        for (place, phase) in places.iter().zip(phases) {
            place.enter(phase);
        }
        let mut newcomers = Vec::new();
        for (n, expected) in [
            (10, [true, true, true, false]),
            (11, [true, true, false, false]),
            (12, [true, false, false, false]),
        ] {
            let newcomer = connections.admit(address(n), now).unwrap();
            newcomer.enter(Phase::Handling);
            newcomers.push(newcomer);
            let open: Vec<bool> = places.iter().map(Place::is_open).collect();
            assert_eq!(open, expected);
        }
        assert!(connections.admit(address(9), now).is_none());
    }

    #[test]
    fn an_address_makes_room_at_its_own_expense() {
        let (connections, now) = (Connections::new(ROOM), Instant::now());
        let other = connections.admit(address(1), now).unwrap();
        let first = connections.admit(address(2), now).unwrap();
        let second = connections.admit(address(2), now).unwrap();
        let third = connections.admit(address(2), now).unwrap();
        assert!(other.is_open() && !first.is_open() && second.is_open() && third.is_open());
        second.enter(Phase::Handling);
        third.enter(Phase::Handling);
        assert!(connections.admit(address(2), now).is_none());
    }

    #[test]
    fn where_the_system_has_less_room_the_bound_follows() {
        let room = Room { in_all: 1000, per_address: 1000 };
        let (connections, now) = (Connections::new(room), Instant::now());
        let mut places: Vec<_> = (0..100).map(|_| connections.admit(address(1), now)).collect();
        assert_eq!(connections.shrink(), 100 - SPARE);
        places.push(connections.admit(address(2), now));
        let open = places.iter().flatten().filter(|p| p.is_open()).count();
        assert_eq!(open, 100 - SPARE);
    }

    #[test]
    fn a_place_is_free_when_its_connection_ends() {
        let (connections, now) = (Connections::new(ROOM), Instant::now());
        drop(connections.admit(address(1), now));
        assert_eq!(connections.table().entries.len(), 0);
    }
}
