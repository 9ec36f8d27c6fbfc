//! What viewers ask of the engine: a session, and changes of one.

use std::sync::atomic::Ordering;
use std::time::Instant;

use str0m::RtcConfig;

use super::Engine;
use crate::hub::TrackId;
use crate::rtp::{Retransmission, RtpParameters};
use crate::webrtc::admission::{self, Taken};
use crate::webrtc::caller::Caller;
use crate::webrtc::candidates::SignallingPath;
use crate::webrtc::command::{Answer, IfMatch, OfferError, OfferReply, PatchError, Patched};
use crate::webrtc::demux::Key;
use crate::webrtc::sdp::{Credentials, Fragment, NegotiatedTrack, Offer, Payload, Refusal, answer};
use crate::webrtc::session::{End, Session, Setting};
use crate::webrtc::waiting::Newcomer;

/// A place among the offers that have not connected yet, those that were answered first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Session(Key),
    Waiting(u64),
}

/// RTP clock of video (RFC 6184 §8.2.1).
const VIDEO_CLOCK_RATE: u32 = 90_000;

impl Engine {
    /// Takes an offer up, to be answered when the stream is known.
    pub(super) fn offer(
        &mut self,
        camera: &str,
        sdp: &str,
        by: Caller,
        reply: OfferReply,
        now: Instant,
    ) {
        let Some(camera) = self.cameras.iter().position(|known| *known.name == *camera) else {
            return reply.send(Err(OfferError::NoSuchCamera));
        };
        // First what costs nothing to find out.
        let place = match self.admit(camera, &by, now) {
            Ok(place) => place,
            Err(error) => return reply.send(Err(error)),
        };
        let offer = match Offer::parse(sdp) {
            Ok(offer) => offer,
            Err(error) => return reply.send(Err(OfferError::Sdp(error))),
        };
        match place {
            Some(Place::Session(key)) => self.remove(key, End::NeverConnected),
            Some(Place::Waiting(number)) => {
                self.cameras.iter_mut().for_each(|camera| camera.waiting.give_up(number));
            }
            None => {}
        }
        // Joining starts the camera, so that its first picture is under way.
        let stream = &mut self.cameras[camera];
        let viewer = stream.hub.join(TrackId::MAIN);
        viewer.request_key_frame();
        stream.waiting.push(Newcomer { offer, by, viewer }, reply, self.next_number, now);
        self.next_number += 1;
        self.count_for_relays(now);
        self.answer_waiting_for(camera, now);
    }

    /// Whether there is a place for one more viewer, and whose.
    fn admit(
        &mut self,
        camera: usize,
        by: &Caller,
        now: Instant,
    ) -> Result<Option<Place>, OfferError> {
        self.cameras[camera].something_to_see(self.settings.infinite_frames)?;
        self.room_for(camera, None)?;
        if !self.rates.allow(by, now) {
            return Err(OfferError::Flood);
        }
        let connecting = self.sessions.iter().filter(|(_, s)| s.is_connecting());
        let connecting =
            connecting.map(|(key, s)| Taken { by: s.caller(), place: Place::Session(*key) });
        let waiting = self.cameras.iter().flat_map(|camera| camera.waiting.all());
        let waiting = waiting.map(|(number, by)| Taken { by, place: Place::Waiting(number) });
        Ok(admission::admit(&connecting.chain(waiting).collect::<Vec<_>>(), by))
    }

    /// Answers the offers that wait, as far as they can be answered.
    pub(super) fn answer_waiting(&mut self, now: Instant) {
        (0..self.cameras.len()).for_each(|camera| self.answer_waiting_for(camera, now));
    }

    /// Answers the offers that wait for the camera's first key frame, whose SPS the answer must
    /// quote.
    pub(super) fn answer_waiting_for(&mut self, camera: usize, now: Instant) {
        if self.cameras[camera].waiting.len() == 0 {
            return;
        }
        let known = self.cameras[camera].profile();
        loop {
            let gathering = self.transport.gathering();
            let stream = &mut self.cameras[camera];
            let next = stream.waiting.pop(known, gathering, now);
            let Some((mut waited, profile)) = next else { return };
            let profile = profile.unwrap_or(stream.expected_profile);
            let mut payload = waited.newcomer.offer.settle(profile);
            if matches!(payload, Err(Refusal::Profile { .. })) && !stream.hub.makes_key_frames() {
                if !waited.wanted_another() && stream.hub.request_transcoding() {
                    stream.waiting.wait_for_another(waited, profile, now);
                    continue;
                }
                // There is no other stream, and decoders mostly do more than they promise.
                payload = waited.newcomer.offer.settle_nearest(profile);
            }
            let from = waited.newcomer.by.path.viewer;
            // It may have been lost while the offer waited.
            let answer = stream.something_to_see(self.settings.infinite_frames);
            let answer = answer.and(payload.map_err(OfferError::Codec));
            let answer = answer.and_then(|p| self.accept(camera, waited.newcomer, p, now));
            if let Err(OfferError::Codec(refusal)) = &answer {
                self.tell(format!("a viewer was turned away: {refusal}"), Some(from), now);
            }
            waited.reply.send(answer);
        }
    }

    fn accept(
        &mut self,
        camera: usize,
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
        let rtp = RtpParameters {
            payload_type: payload.pt,
            clock_rate: VIDEO_CLOCK_RATE,
            extensions: offer.video().extensions,
            ssrc,
            retransmission: payload
                .rtx
                .map(|payload_type| Retransmission { payload_type, ssrc: ssrc ^ 1 }),
            cname: random(8)?,
            timestamp_offset: number(random(4)?),
        };
        let remote = offer.transport().map_err(OfferError::Sdp)?;
        self.transport.permit(&remote.candidates, by.path.viewer, now);
        let track = NegotiatedTrack { mid: offer.video().mid.clone(), payload, rtp };
        let setting = Setting {
            id: id.clone(),
            by,
            config: self.config(),
            local: local.clone(),
            camera,
            tracks: vec![(track.clone(), viewer)],
        };
        let mut session = Session::new(&offer, setting, now).map_err(OfferError::Internal)?;
        let candidates = session.add_local_candidates(self.transport.candidates(by.path));
        let sdp = answer::write(
            &offer,
            &answer::Local {
                session: self.next_key + 1,
                credentials: &local,
                fingerprint: &session.fingerprint(),
                setup: session.setup(),
                candidates: &candidates,
                track: &track,
            },
        );
        let key = self.next_key;
        self.next_key += 1;
        let answer = Answer { id: id.clone(), etag: session.etag(), sdp };
        let wake = session.wake_at(now);
        self.by_id.insert(id, key);
        self.demux.name(local, key);
        self.sessions.insert(key, session);
        self.set_alarm(key, wake);
        self.cameras[camera].counts.offers_accepted.fetch_add(1, Ordering::Relaxed);
        self.count(camera);
        self.tell_state(key);
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
        let candidates = self.transport.candidates(path);
        let session = self.sessions.get_mut(&key).ok_or(PatchError::NoSuchSession)?;
        let said = fragment.credentials(session.answered().mid());
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
        self.transport.permit(&fragment.candidates, path.viewer, now);
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
                self.demux.name(local, key);
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
    let mut random = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| "the system gives no random numbers")?;
    Ok(base16ct::lower::encode_string(&random))
}
