//! Writing answers.

use std::fmt::Write;

use str0m::Candidate;

use super::section::{ABS_SEND_TIME, PLAYOUT_DELAY};
use super::{Credentials, MediaSection, NegotiatedTrack, Offer, Payload, Setup};
use crate::rtp::Retransmission;

/// What Picket says of itself in an answer.
pub(in crate::webrtc) struct Local<'a> {
    pub session: u64,
    pub credentials: &'a Credentials,
    /// "sha-256 AA:BB:…"
    pub fingerprint: &'a str,
    pub setup: Setup,
    pub candidates: &'a [Candidate],
    /// What is sent in the video's section.
    pub track: &'a NegotiatedTrack,
}

/// The answer to `offer`: video in its section; what shares its transport is taken up unused, and
/// the rest declined.
pub(in crate::webrtc) fn write(offer: &Offer, local: &Local<'_>) -> String {
    let mut sdp = String::with_capacity(2048);
    let _ = write!(sdp, "v=0\r\no=- {} 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", local.session);
    bundle(&mut sdp, &offer.answered_bundle());
    sdp.push_str("a=msid-semantic:WMS picket\r\na=ice-options:trickle\r\n");
    for (at, section) in offer.sections.iter().enumerate() {
        if std::ptr::eq(section, offer.video()) {
            video(&mut sdp, section, local);
        } else if offer.is_bundled(at) {
            unused(&mut sdp, section, local);
        } else {
            declined(&mut sdp, section);
        }
    }
    sdp
}

fn bundle(sdp: &mut String, mids: &[&str]) {
    if !mids.is_empty() {
        let _ = write!(sdp, "a=group:BUNDLE {}\r\n", mids.join(" "));
    }
}

/// A section taken up within the bundle, through which nothing is ever sent. Viewers want it whole
/// all the same: with a codec, and with the transport that it shares.
fn unused(sdp: &mut String, section: &MediaSection, local: &Local<'_>) {
    let MediaSection { kind, protocol, .. } = section;
    let (formats, described) = section.unused_formats();
    let _ = write!(sdp, "m={kind} 9 {protocol} {formats}\r\nc=IN IP4 0.0.0.0\r\n");
    transport(sdp, section, local);
    sdp.push_str("a=inactive\r\n");
    if section.is_rtp() {
        sdp.push_str("a=rtcp-mux\r\na=rtcp-mux-only\r\n");
    }
    for (what, value) in described {
        let _ = write!(sdp, "a={}:{value}\r\n", what.name());
    }
}

/// RFC 3264 §6: a declined stream keeps its place, with port 0. It keeps its codec too, which some
/// viewers look for even there.
fn declined(sdp: &mut String, section: &MediaSection) {
    let MediaSection { kind, protocol, .. } = section;
    let (formats, described) = section.unused_formats();
    let _ = write!(sdp, "m={kind} 0 {protocol} {formats}\r\nc=IN IP4 0.0.0.0\r\n");
    tag(sdp, section);
    sdp.push_str("a=inactive\r\n");
    for (what, value) in described {
        let _ = write!(sdp, "a={}:{value}\r\n", what.name());
    }
}

fn tag(sdp: &mut String, section: &MediaSection) {
    if section.tagged {
        let _ = write!(sdp, "a=mid:{}\r\n", section.mid);
    }
}

/// Where Picket is and how the connection is secured, which is the same for all sections.
fn transport(sdp: &mut String, section: &MediaSection, local: &Local<'_>) {
    ice(sdp, local.credentials, local.candidates);
    let _ =
        write!(sdp, "a=fingerprint:{}\r\na=setup:{}\r\n", local.fingerprint, local.setup.name());
    tag(sdp, section);
}

fn video(sdp: &mut String, section: &MediaSection, local: &Local<'_>) {
    let NegotiatedTrack { payload, rtp, .. } = local.track;
    let Payload { pt, rtx, profile_level, level_asymmetry, feedback } = payload;
    let MediaSection { protocol, extensions, .. } = section;
    let _ = write!(sdp, "m=video 9 {protocol} {pt}");
    if let Some(rtx) = rtx {
        let _ = write!(sdp, " {rtx}");
    }
    let _ = write!(sdp, "\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n");
    transport(sdp, section, local);
    for (id, uri) in
        [(extensions.abs_send_time, ABS_SEND_TIME), (extensions.playout_delay, PLAYOUT_DELAY)]
    {
        if let Some(id) = id {
            let _ = write!(sdp, "a=extmap:{id} {uri}\r\n");
        }
    }
    let _ = write!(
        sdp,
        "a=sendonly\r\na=msid:picket video\r\na=rtcp-mux\r\na=rtcp-mux-only\r\na=rtcp-rsize\r\n\
         a=rtpmap:{pt} H264/90000\r\na=fmtp:{pt} "
    );
    if *level_asymmetry {
        sdp.push_str("level-asymmetry-allowed=1;");
    }
    let _ = write!(sdp, "packetization-mode=1;profile-level-id={profile_level}\r\n");
    for (wanted, name) in [
        (feedback.nack, "nack"),
        (feedback.pli, "nack pli"),
        (feedback.fir, "ccm fir"),
        (feedback.remb && extensions.abs_send_time.is_some(), "goog-remb"),
    ] {
        if wanted {
            let _ = write!(sdp, "a=rtcp-fb:{pt} {name}\r\n");
        }
    }
    let (ssrc, cname) = (rtp.ssrc, &rtp.cname);
    if let Some(Retransmission { payload_type, ssrc: rtx_ssrc }) = rtp.retransmission {
        let _ = write!(
            sdp,
            "a=rtpmap:{payload_type} rtx/90000\r\na=fmtp:{payload_type} apt={pt}\r\n\
             a=ssrc-group:FID {ssrc} {rtx_ssrc}\r\n"
        );
    }
    let ssrcs = [Some(ssrc), rtp.retransmission.map(|rtx| rtx.ssrc)];
    for ssrc in ssrcs.into_iter().flatten() {
        let _ = write!(sdp, "a=ssrc:{ssrc} cname:{cname}\r\na=ssrc:{ssrc} msid:picket video\r\n");
    }
}

/// The fragment that answers an ICE restart (RFC 9725 §4.3.3).
pub(in crate::webrtc) fn fragment(
    offer: &AnsweredOffer,
    credentials: &Credentials,
    candidates: &[Candidate],
) -> String {
    let AnsweredOffer { mid, tagged, protocol, bundle: mids } = offer;
    let mut sdp = String::from("a=ice-options:trickle\r\n");
    let mids: Vec<&str> = mids.iter().map(String::as_str).collect();
    bundle(&mut sdp, &mids);
    let _ = write!(sdp, "m=video 9 {protocol} 0\r\n");
    if *tagged {
        let _ = write!(sdp, "a=mid:{mid}\r\n");
    }
    ice(&mut sdp, credentials, candidates);
    sdp
}

/// What a restart has to know of the offer.
#[derive(Debug, Clone)]
pub(in crate::webrtc) struct AnsweredOffer {
    mid: String,
    /// Whether the viewer gave it that tag.
    tagged: bool,
    protocol: String,
    /// The tags of the answer's BUNDLE group.
    bundle: Vec<String>,
}

impl AnsweredOffer {
    /// The tag of the video's section; the place of the section in the offer where it has none.
    pub(in crate::webrtc) fn mid(&self) -> &str {
        &self.mid
    }
}

impl From<&Offer> for AnsweredOffer {
    fn from(offer: &Offer) -> Self {
        let video = offer.video();
        Self {
            mid: video.mid.clone(),
            tagged: video.tagged,
            protocol: video.protocol.clone(),
            bundle: offer.answered_bundle().into_iter().map(Into::into).collect(),
        }
    }
}

fn ice(sdp: &mut String, credentials: &Credentials, candidates: &[Candidate]) {
    for candidate in candidates {
        let line = candidate.to_sdp_string();
        // All are of the one ICE session whose credentials follow.
        let line = line.split(" ufrag ").next().unwrap_or(&line);
        let _ = write!(sdp, "a={line}\r\n");
    }
    let Credentials { ufrag, pwd } = credentials;
    let _ = write!(sdp, "a=end-of-candidates\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n");
}
