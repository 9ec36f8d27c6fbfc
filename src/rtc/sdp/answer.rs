//! Writing answers.

use std::fmt::Write;

use str0m::Candidate;

use super::section::{ABS_SEND_TIME, PLAYOUT_DELAY};
use super::{Credentials, MediaSection, Offer, Payload, Setup};

/// What Picket says of itself in an answer.
pub(in crate::rtc) struct Local<'a> {
    pub session: u64,
    pub credentials: &'a Credentials,
    /// "sha-256 AA:BB:…"
    pub fingerprint: &'a str,
    pub setup: Setup,
    pub candidates: &'a [Candidate],
    pub payload: &'a Payload,
    pub ssrc: u32,
    pub rtx_ssrc: u32,
    pub cname: &'a str,
}

/// The answer to `offer`: video in its section; what shares its transport is taken up unused, and
/// the rest declined.
pub(in crate::rtc) fn write(offer: &Offer, local: &Local<'_>) -> String {
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
    let Payload { pt, rtx, profile_level, level_asymmetry, feedback } = local.payload;
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
    let Local { ssrc, rtx_ssrc, cname, .. } = local;
    if let Some(rtx) = rtx {
        let _ = write!(
            sdp,
            "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={pt}\r\na=ssrc-group:FID {ssrc} {rtx_ssrc}\r\n"
        );
    }
    let _ = write!(sdp, "a=ssrc:{ssrc} cname:{cname}\r\na=ssrc:{ssrc} msid:picket video\r\n");
    if rtx.is_some() {
        let _ = write!(
            sdp,
            "a=ssrc:{rtx_ssrc} cname:{cname}\r\na=ssrc:{rtx_ssrc} msid:picket video\r\n"
        );
    }
}

/// The fragment that answers an ICE restart (RFC 9725 §4.3.3).
pub(in crate::rtc) fn fragment(
    offer: &AnsweredOffer,
    credentials: &Credentials,
    candidates: &[Candidate],
) -> String {
    let AnsweredOffer { mid, protocol, bundle: mids } = offer;
    let mut sdp = String::from("a=ice-options:trickle\r\n");
    let mids: Vec<&str> = mids.iter().map(String::as_str).collect();
    bundle(&mut sdp, &mids);
    let _ = write!(sdp, "m=video 9 {protocol} 0\r\n");
    if let Some(mid) = mid {
        let _ = write!(sdp, "a=mid:{mid}\r\n");
    }
    ice(&mut sdp, credentials, candidates);
    sdp
}

/// What a restart has to know of the offer.
#[derive(Debug, Clone)]
pub(in crate::rtc) struct AnsweredOffer {
    /// The tag of the video's section, where it has one.
    mid: Option<String>,
    protocol: String,
    /// The tags of the answer's BUNDLE group.
    bundle: Vec<String>,
}

impl From<&Offer> for AnsweredOffer {
    fn from(offer: &Offer) -> Self {
        let video = offer.video();
        Self {
            mid: video.tagged.then(|| video.mid.clone()),
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
