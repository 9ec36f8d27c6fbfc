//! Writing answers.

use std::fmt::Write;

use str0m::Candidate;

use super::offer::{ABS_SEND_TIME, PLAYOUT_DELAY};
use super::{Credentials, MediaSection, Offer, Payload};

/// What Picket says of itself in an answer.
pub(in crate::rtc) struct Local<'a> {
    pub session: u64,
    pub credentials: &'a Credentials,
    /// "sha-256 AA:BB:…"
    pub fingerprint: &'a str,
    /// "passive" or "active".
    pub setup: &'static str,
    pub candidates: &'a [Candidate],
    pub payload: &'a Payload,
    pub ssrc: u32,
    pub rtx_ssrc: u32,
    pub cname: &'a str,
}

/// The answer to `offer`: video in its section, everything else declined.
pub(in crate::rtc) fn write(offer: &Offer, local: &Local<'_>) -> String {
    let mut sdp = String::with_capacity(2048);
    let mid = &offer.video().mid;
    let _ = write!(
        sdp,
        "v=0\r\no=- {} 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
         a=group:BUNDLE {mid}\r\na=msid-semantic:WMS picket\r\na=ice-options:trickle\r\n",
        local.session
    );
    for (i, section) in offer.sections.iter().enumerate() {
        if i == offer.video {
            video(&mut sdp, section, local);
        } else {
            // RFC 3264 §6: a declined stream keeps its place, with port 0.
            let MediaSection { kind, protocol, formats, mid, .. } = section;
            let _ = write!(
                sdp,
                "m={kind} 0 {protocol} {formats}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=inactive\r\n"
            );
        }
    }
    sdp
}

fn video(sdp: &mut String, section: &MediaSection, local: &Local<'_>) {
    let Payload { pt, rtx, profile_level, level_asymmetry, feedback } = local.payload;
    let MediaSection { protocol, mid, extensions, .. } = section;
    let _ = write!(sdp, "m=video 9 {protocol} {pt}");
    if let Some(rtx) = rtx {
        let _ = write!(sdp, " {rtx}");
    }
    let _ = write!(sdp, "\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n");
    transport(sdp, local.credentials, local.candidates);
    let _ = write!(
        sdp,
        "a=fingerprint:{}\r\na=setup:{}\r\na=mid:{mid}\r\n",
        local.fingerprint, local.setup
    );
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
    section: (&str, &str),
    credentials: &Credentials,
    candidates: &[Candidate],
) -> String {
    let (mid, protocol) = section;
    let mut sdp = format!(
        "a=ice-options:trickle\r\na=group:BUNDLE {mid}\r\nm=video 9 {protocol} 0\r\na=mid:{mid}\r\n"
    );
    transport(&mut sdp, credentials, candidates);
    sdp
}

fn transport(sdp: &mut String, credentials: &Credentials, candidates: &[Candidate]) {
    for candidate in candidates {
        let line = candidate.to_sdp_string();
        let line = line.strip_prefix("a=").unwrap_or(&line).trim_end();
        let _ = write!(sdp, "a={line}\r\n");
    }
    let Credentials { ufrag, pwd } = credentials;
    let _ = write!(sdp, "a=end-of-candidates\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n");
}
