//! What viewers ask of the engine: a session, and changes of one.

use std::time::Instant;

use str0m::RtcConfig;

use super::Engine;
use crate::hub::{Layer, SourceState};
use crate::rtc::admission::{self, Taken};
use crate::rtc::candidates::SignallingPath;
use crate::rtc::command::{Answer, IfMatch, OfferError, OfferReply, PatchError, Patched};
use crate::rtc::demux::Key;
use crate::rtc::egress::StreamParameters;
use crate::rtc::holder::Caller;
use crate::rtc::sdp::{Credentials, Fragment, Offer, Payload, Refusal, answer};
use crate::rtc::session::{End, Session, Setting};
use crate::rtc::waiting::Newcomer;

/// A place among the offers that have not connected yet, those that were answered first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Session(Key),
    Waiting(u64),
}

impl Engine {
    /// Takes an offer up, to be answered when the stream is known.
    pub(super) fn offer(&mut self, sdp: &str, by: Caller, reply: OfferReply, now: Instant) {
        // First what costs nothing to find out.
        let place = match self.admit(&by, now) {
            Ok(place) => place,
            Err(error) => return reply.send(Err(error)),
        };
        let offer = match Offer::parse(sdp) {
            Ok(offer) => offer,
            Err(error) => return reply.send(Err(OfferError::Sdp(error))),
        };
        match place {
            Some(Place::Session(key)) => self.remove(key, End::NeverConnected),
            Some(Place::Waiting(number)) => self.waiting.give_up(number),
            None => {}
        }
        // Joining starts the camera, so that its first picture is under way.
        let viewer = self.hub.join(Layer::Main);
        viewer.request_key_picture();
        self.waiting.push(Newcomer { offer, by, viewer }, reply, now);
        self.count_for_relays(now);
        self.answer_waiting(now);
    }

    /// Whether there is a place for one more viewer, and whose.
    fn admit(&mut self, by: &Caller, now: Instant) -> Result<Option<Place>, OfferError> {
        self.something_to_see()?;
        self.room_for(None)?;
        if !self.rates.allow(by, now) {
            return Err(OfferError::Flood);
        }
        let connecting = self.sessions.iter().filter(|(_, s)| s.is_connecting());
        let connecting =
            connecting.map(|(key, s)| Taken { by: s.caller(), place: Place::Session(*key) });
        let waiting = self.waiting.all();
        let waiting = waiting.map(|(number, by)| Taken { by, place: Place::Waiting(number) });
        Ok(admission::admit(&connecting.chain(waiting).collect::<Vec<_>>(), by))
    }

    fn something_to_see(&self) -> Result<(), OfferError> {
        match &*self.hub.source().borrow() {
            SourceState::Ended => Err(OfferError::NoSource("the source has ended".into())),
            // Where the stream goes on without it, there is a card to see.
            SourceState::Lost(why) if !self.settings.infinite_frames => {
                Err(OfferError::NoSource(why.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Answers the offers that wait for the stream's first key picture, whose SPS the answer
    /// must quote.
    pub(super) fn answer_waiting(&mut self, now: Instant) {
        let known = self.stream_profile();
        loop {
            let next = self.waiting.pop(known, self.outside.gathering(), now);
            let Some((mut waited, profile)) = next else { return };
            let profile = profile.unwrap_or(self.settings.expected_profile);
            let mut payload = waited.newcomer.offer.settle(profile);
            if matches!(payload, Err(Refusal::Profile { .. })) && !self.hub.makes_key_pictures() {
                if !waited.wanted_another() && self.hub.ask_to_encode_afresh(Layer::Main) {
                    self.waiting.wait_for_another(waited, profile, now);
                    continue;
                }
                // There is no other stream, and decoders mostly do more than they promise.
                payload = waited.newcomer.offer.settle_nearest(profile);
            }
            let from = waited.newcomer.by.path.viewer;
            // It may have been lost while the offer waited.
            let answer = self.something_to_see().and(payload.map_err(OfferError::Codec));
            let answer = answer.and_then(|p| self.accept(waited.newcomer, p, now));
            if let Err(OfferError::Codec(refusal)) = &answer {
                self.tell(format!("a viewer was turned away: {refusal}"), Some(from), now);
            }
            waited.reply.send(answer);
        }
    }

    fn accept(
        &mut self,
        newcomer: Newcomer,
        payload: Payload,
        now: Instant,
    ) -> Result<Answer, OfferError> {
        let Newcomer { offer, by, viewer } = newcomer;
        let random = |n: usize| random_hex(n).map_err(OfferError::Internal);
        let number = |hex: String| u32::from_str_radix(&hex, 16).unwrap_or_default();
        let id = random(16)?;
        let local = Credentials { ufrag: random(8)?, pwd: random(16)? };
        let ssrc = number(random(4)?).max(1);
        let parameters = StreamParameters {
            payload,
            extensions: offer.video().extensions,
            ssrc,
            rtx_ssrc: ssrc ^ 1,
            cname: random(8)?,
            timestamp_offset: number(random(4)?),
        };
        let remote = offer.transport().map_err(OfferError::Sdp)?;
        self.outside.permit(&remote.candidates, by.path.viewer, now);
        let setting = Setting {
            id: id.clone(),
            by,
            config: self.config(),
            local: local.clone(),
            parameters: parameters.clone(),
            viewer,
        };
        let mut session = Session::new(&offer, setting, now).map_err(OfferError::Internal)?;
        let candidates = session.add_local_candidates(self.outside.candidates(by.path));
        let sdp = answer::write(
            &offer,
            &answer::Local {
                session: self.next_key + 1,
                credentials: &local,
                fingerprint: &session.fingerprint(),
                setup: session.setup(),
                candidates: &candidates,
                payload: &parameters.payload,
                ssrc: parameters.ssrc,
                rtx_ssrc: parameters.rtx_ssrc,
                cname: &parameters.cname,
            },
        );
        let key = self.next_key;
        self.next_key += 1;
        let answer = Answer { id: id.clone(), etag: session.etag(), sdp };
        let wake = session.wake_at(now);
        self.by_id.insert(id, key);
        self.owners.name(local, key);
        self.sessions.insert(key, session);
        self.set_alarm(key, wake);
        self.totals.send_modify(|t| t.offers_accepted += 1);
        self.count();
        Ok(answer)
    }

    fn config(&self) -> RtcConfig {
        RtcConfig::new()
            .set_crypto_provider(self.crypto.clone())
            .set_dtls_cert(self.certificate.clone())
            .clear_codecs()
            .clear_extension_map()
            .set_rtp_mode(true)
    }

    pub(super) fn patch(
        &mut self,
        key: Key,
        if_match: &IfMatch,
        fragment: &Fragment,
        path: SignallingPath,
        now: Instant,
    ) -> Result<Patched, PatchError> {
        let candidates = self.outside.candidates(path);
        let session = self.sessions.get_mut(&key).ok_or(PatchError::NoSuchSession)?;
        let said = fragment.credentials(session.mid());
        let new = said.filter(|credentials| !session.knows(credentials)).cloned();
        // RFC 9725 §4.3.3: a restart says `*`, a trickle names the ICE session it belongs to. Many
        // clients say `*`, or nothing, for a trickle too; then its credentials say as much.
        match if_match {
            IfMatch::Any => {}
            IfMatch::Tags(tags) if tags.contains(&session.etag()) => {}
            IfMatch::Tags(_) => return Err(PatchError::StaleEtag),
            IfMatch::Absent if new.is_none() && said.is_some() => {}
            IfMatch::Absent => return Err(PatchError::NoPrecondition),
        }
        self.outside.permit(&fragment.candidates, path.viewer, now);
        match new {
            None => {
                session.trickle(fragment, now);
                Ok(Patched::Trickled)
            }
            Some(remote) => {
                let random = |n: usize| random_hex(n).map_err(PatchError::Internal);
                let local = Credentials { ufrag: random(8)?, pwd: random(16)? };
                session
                    .restart(remote, fragment, local.clone(), now)
                    .map_err(PatchError::Internal)?;
                self.owners.name(local, key);
                let candidates = session.add_local_candidates(candidates);
                let sdp = answer::fragment(session.answered(), session.local(), &candidates);
                Ok(Patched::Restarted { etag: session.etag(), fragment: sdp })
            }
        }
    }
}

/// `bytes` random bytes as lower-case hexadecimal digits, which are valid as ICE characters, in
/// URLs and as numbers.
fn random_hex(bytes: usize) -> Result<String, String> {
    use std::fmt::Write;
    let mut random = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| "the system gives no random numbers")?;
    Ok(random.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}
