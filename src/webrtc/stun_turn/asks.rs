//! Requests under way to one TURN server: signed the way it wants (RFC 8489 §9.2), repeated, and
//! matched with their answers.

use std::net::SocketAddr;
use std::time::Instant;

use super::outbox::Outbox;
use super::transaction::{Step, Transaction};
use super::wire::{self, Ask, Auth, Challenge, Reply, Signature, Verdict};

/// Requests under way at once: a viewer's permissions should not queue behind one another, nor
/// flood the server.
const AT_ONCE: usize = 8;

/// How often one request is repeated because the server wants another nonce. One is normal, two
/// happen when it restarts meanwhile.
const MAX_CHALLENGES: u8 = 3;

pub(super) struct Asks {
    username: String,
    password: String,
    auth: Option<Auth>,
    /// Counts the values `auth` has had.
    auth_number: u32,
    in_flight: Vec<InFlight>,
}

struct InFlight {
    ask: Ask,
    /// Which [`Auth`] signed it, by [`Asks::auth_number`]; zero: none.
    signed_with: u32,
    challenges: u8,
    transaction: Transaction,
}

/// What an answer to a request of ours means.
pub(super) enum Answer {
    /// The server wanted another signature, and gets it.
    AskedAgain,
    Decided(Ask, Verdict),
}

impl Asks {
    pub(super) fn new(username: &str, password: &str) -> Self {
        Self {
            username: username.to_owned(),
            password: password.to_owned(),
            auth: None,
            auth_number: 0,
            in_flight: Vec::new(),
        }
    }

    pub(super) fn ask(&mut self, now: Instant, ask: Ask) {
        self.ask_again(now, ask, 0);
    }

    fn ask_again(&mut self, now: Instant, ask: Ask, challenges: u8) {
        let id = wire::new_transaction_id();
        let bytes = wire::request(ask, id, self.auth.as_ref());
        self.in_flight.push(InFlight {
            ask,
            signed_with: self.auth_number,
            challenges,
            transaction: Transaction::new(id, bytes, now),
        });
    }

    /// Whether one more request may be made now.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() < AT_ONCE
    }

    pub(super) fn is_under_way(&self, ask: Ask) -> bool {
        self.in_flight.iter().any(|a| a.ask == ask)
    }

    /// Waits for no answer to this any longer.
    pub(super) fn forget(&mut self, ask: Ask) {
        self.in_flight.retain(|a| a.ask != ask);
    }

    pub(super) fn clear(&mut self) {
        self.in_flight.clear();
    }

    /// When there is something to send or to give up.
    pub(super) fn due(&self) -> Option<Instant> {
        self.in_flight.iter().map(|a| a.transaction.due()).min()
    }

    /// Sends what is due. Returns what was never answered.
    pub(super) fn transmit(
        &mut self,
        now: Instant,
        server: SocketAddr,
        out: &mut Outbox,
    ) -> Vec<Ask> {
        let mut given_up = Vec::new();
        self.in_flight.retain_mut(|in_flight| {
            loop {
                match in_flight.transaction.poll(now) {
                    Step::Send(bytes) => out.send(server, bytes),
                    Step::Wait(_) => return true,
                    Step::GiveUp => {
                        given_up.push(in_flight.ask);
                        return false;
                    }
                }
            }
        });
        given_up
    }

    /// Takes an answer if it is to a request of ours, and the server's.
    pub(super) fn reply(&mut self, now: Instant, reply: &Reply<'_>) -> Option<Answer> {
        let mut in_flight = self.in_flight.iter();
        let at = in_flight.position(|a| a.transaction.id == reply.id() && reply.answers(a.ask))?;
        let verdict = reply.verdict();
        if self.in_flight[at].signed_with != 0 && !self.is_authentic(reply, &verdict) {
            return None;
        }
        let in_flight = self.in_flight.swap_remove(at);
        match verdict {
            Verdict::Refused { code: 401 | 438, challenge: Some(challenge), .. }
                if in_flight.challenges < MAX_CHALLENGES && self.accept(&challenge, &in_flight) =>
            {
                self.ask_again(now, in_flight.ask, in_flight.challenges + 1);
                Some(Answer::AskedAgain)
            }
            verdict => Some(Answer::Decided(in_flight.ask, verdict)),
        }
    }

    /// An answer that is not the server's counts as never received (RFC 8489 §9.2.5). Many
    /// servers leave errors unsigned, so those pass; whoever could forge one, having seen the
    /// request, could as well swallow the answer.
    fn is_authentic(&self, reply: &Reply<'_>, verdict: &Verdict) -> bool {
        match self.auth.as_ref().map(|auth| reply.signature(auth)) {
            Some(Signature::Good) => true,
            Some(Signature::Absent) => matches!(verdict, Verdict::Refused { .. }),
            Some(Signature::Bad) | None => false,
        }
    }

    /// Whether a request may be signed again. With the realm and nonce it already was signed with
    /// the server would only say no again: the password is wrong (RFC 8489 §9.2.5).
    fn accept(&mut self, challenge: &Challenge, in_flight: &InFlight) -> bool {
        if let Some(auth) = &self.auth
            && auth.answers(challenge)
        {
            // The answer to another request may have brought the same nonce already.
            return in_flight.signed_with != self.auth_number;
        }
        self.auth = Auth::new(&self.username, &self.password, challenge);
        self.auth_number += 1;
        self.auth.is_some()
    }
}
