//! Asking a STUN server for our public address, and keeping the NAT's mapping alive.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::name::Name;
use super::outbox::{Kind, Outbox};
use super::status::ServerProblem;
use super::transaction::{Step, Transaction};
use super::wire::{self, Ask, Reply, Verdict};

/// NATs forget a silent mapping after 30 s at the earliest in practice (RFC 4787 REQ-5 asks for
/// two minutes and is not heeded everywhere).
pub(super) const REFRESH_EVERY: Duration = Duration::from_secs(25);

/// A server that answers with an error is left alone for this long.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// Our conversation with one STUN server.
#[derive(Debug)]
pub(super) struct Binding {
    /// The address the transaction in flight went to, or the last one.
    server: Option<SocketAddr>,
    mapped: Option<SocketAddr>,
    transaction: Option<Transaction>,
    /// When the next request is due.
    next: Instant,
}

impl Binding {
    pub(super) fn new(now: Instant) -> Self {
        Self { server: None, mapped: None, transaction: None, next: now }
    }

    pub(super) fn server(&self) -> Option<SocketAddr> {
        self.server
    }

    pub(super) fn mapped(&self) -> Option<SocketAddr> {
        self.mapped
    }

    /// Whether the first answer is still being waited for.
    pub(super) fn pending(&self) -> bool {
        self.mapped.is_none() && self.transaction.is_some()
    }

    /// Asks again now; the network may have changed.
    pub(super) fn refresh(&mut self, now: Instant) {
        self.transaction = None;
        self.next = now;
    }

    /// Does what is due. Returns when it is to be called again.
    pub(super) fn drive(
        &mut self,
        now: Instant,
        name: &mut Name,
        out: &mut Outbox,
    ) -> Result<Option<Instant>, ServerProblem> {
        if self.transaction.is_none() && now >= self.next {
            // A server that works is kept, whatever the name now says.
            self.server = match self.mapped {
                Some(_) => self.server.or(name.address()),
                None => name.address(),
            };
            if self.server.is_none() {
                return Ok(None);
            }
            let id = wire::new_transaction_id();
            let bytes = wire::request(Ask::Binding, id, None);
            self.transaction = Some(Transaction::new(id, bytes, now));
        }
        let (Some(server), Some(transaction)) = (self.server, &mut self.transaction) else {
            return Ok(Some(self.next));
        };
        loop {
            match transaction.poll(now) {
                Step::Send(bytes) => out.send(server, bytes),
                Step::Wait(until) => return Ok(Some(until)),
                Step::GiveUp => break,
            }
        }
        self.transaction = None;
        self.forget(out);
        name.move_on(now);
        self.next = now;
        Err(ServerProblem::Silent(server))
    }

    /// Takes an answer if it is ours.
    pub(super) fn reply(
        &mut self,
        now: Instant,
        reply: &Reply<'_>,
        out: &mut Outbox,
    ) -> Option<Result<(), ServerProblem>> {
        self.transaction.take_if(|t| t.id == reply.id() && reply.answers(Ask::Binding))?;
        let (outcome, pause) = match reply.verdict() {
            Verdict::Granted { mapped: Some(mapped), .. } => {
                self.learn(mapped, out);
                (Ok(()), REFRESH_EVERY)
            }
            Verdict::Granted { .. } => (
                Err(ServerProblem::Nonsense("it does not say what our address is")),
                PAUSE_AFTER_REFUSAL,
            ),
            Verdict::Refused { code, reason, .. } => {
                (Err(ServerProblem::Refused { code, reason }), PAUSE_AFTER_REFUSAL)
            }
        };
        if outcome.is_err() {
            self.forget(out);
        }
        self.next = now + pause;
        Some(outcome)
    }

    fn learn(&mut self, mapped: SocketAddr, out: &mut Outbox) {
        if self.mapped == Some(mapped) {
            return;
        }
        self.forget(out);
        self.mapped = Some(mapped);
        if let Some(server) = self.server {
            out.gained(Kind::ServerReflexive, mapped, server);
        }
    }

    fn forget(&mut self, out: &mut Outbox) {
        if let (Some(mapped), Some(server)) = (self.mapped.take(), self.server) {
            out.lost(Kind::ServerReflexive, mapped, server);
        }
    }
}
