//! Agreeing on a payload type for H.264 (RFC 6184 §8.2.2, RFC 7742 §6.2).

use crate::media::h264::{ProfileLevel, Suits};

/// A payload type of the offer and what was said about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RemoteCodec {
    pt: u8,
    is_h264: bool,
    /// Set for `rtx`: the payload type it repairs.
    apt: Option<u8>,
    is_rtx: bool,
    mode_1: bool,
    profile_level: OfferedProfile,
    level_asymmetry: bool,
    feedback: Feedback,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum OfferedProfile {
    /// RFC 6184 §8.1: without the parameter, baseline at level 1.
    #[default]
    Unsaid,
    Said(ProfileLevel),
    Garbage,
}

/// RTCP feedback the viewer will send for a payload type (RFC 4585, RFC 5104).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Feedback {
    /// Generic NACK.
    pub nack: bool,
    /// Picture loss indication.
    pub pli: bool,
    /// Full intra request.
    pub fir: bool,
    /// Receiver-estimated maximum bit rate.
    pub remb: bool,
}

/// What will be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Payload type of the video.
    pub pt: u8,
    /// Payload type of retransmissions (RFC 4588), when the viewer takes them.
    pub rtx: Option<u8>,
    /// For the answer.
    pub profile_level: ProfileLevel,
    /// Whether the levels of the two directions may differ.
    pub level_asymmetry: bool,
    /// Feedback to expect.
    pub feedback: Feedback,
}

/// The viewer's decoders and the stream do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No H.264 in the offer.
    #[error("the viewer offers no H.264; this camera sends nothing else")]
    NoH264,
    /// Only packetization modes Picket does not send.
    #[error(
        "the viewer offers H.264 without packetization-mode=1, which this camera needs; add it to \
         the viewer's H.264 format (in GStreamer's caps: packetization-mode=(string)1)"
    )]
    NoMode1,
    /// None of the profiles covers the stream.
    #[error("the viewer's H.264 ({offered}) does not cover this stream, which is {stream}")]
    Profile {
        /// The `profile-level-id`s offered.
        offered: String,
        /// The stream's.
        stream: String,
    },
}

impl RemoteCodec {
    /// The payload types of an m-line, in order.
    pub(super) fn list(formats: &str) -> Vec<Self> {
        formats
            .split(' ')
            .filter_map(|f| f.parse().ok())
            .filter(|pt| *pt < 128)
            .take(128)
            .map(|pt| Self { pt, ..Self::default() })
            .collect()
    }

    /// Takes in `a=rtpmap`, `a=fmtp` or `a=rtcp-fb`. Lines about unknown payload types and
    /// malformed ones say nothing and are passed over.
    pub(super) fn attribute(codecs: &mut [Self], name: &str, value: &str) {
        let (pt, rest) = value.split_once(' ').unwrap_or((value, ""));
        let any = name == "rtcp-fb" && pt == "*";
        let pt: Option<u8> = pt.parse().ok();
        for codec in codecs.iter_mut().filter(|c| any || Some(c.pt) == pt) {
            match name {
                "rtpmap" => {
                    codec.is_h264 = rest.eq_ignore_ascii_case("H264/90000");
                    codec.is_rtx = rest.eq_ignore_ascii_case("rtx/90000");
                }
                "fmtp" => codec.parameters(rest),
                _ => match rest.trim_end() {
                    "nack" => codec.feedback.nack = true,
                    "nack pli" => codec.feedback.pli = true,
                    "ccm fir" => codec.feedback.fir = true,
                    "goog-remb" => codec.feedback.remb = true,
                    _ => {}
                },
            }
        }
    }

    fn parameters(&mut self, text: &str) {
        for parameter in text.split(';') {
            let (name, value) = parameter.trim().split_once('=').unwrap_or((parameter.trim(), ""));
            match name.to_ascii_lowercase().as_str() {
                "apt" => self.apt = value.parse().ok(),
                "packetization-mode" => self.mode_1 = value == "1",
                "level-asymmetry-allowed" => self.level_asymmetry = value == "1",
                "profile-level-id" => {
                    self.profile_level = ProfileLevel::parse(value)
                        .map_or(OfferedProfile::Garbage, OfferedProfile::Said);
                }
                _ => {}
            }
        }
    }

    fn offered(&self) -> Option<ProfileLevel> {
        match self.profile_level {
            OfferedProfile::Said(profile_level) => Some(profile_level),
            OfferedProfile::Unsaid => {
                Some(ProfileLevel { profile_idc: 66, constraints: 0, level_idc: 10 })
            }
            OfferedProfile::Garbage => None,
        }
    }
}

impl Payload {
    /// Whether there is any H.264 among `codecs`.
    pub(super) fn is_offered(codecs: &[RemoteCodec]) -> bool {
        codecs.iter().any(|codec| codec.is_h264)
    }

    /// Picks the payload type that says most exactly what the stream is: the stream's own
    /// profile before one that merely includes it, the viewer's order among equals. One that suits
    /// the stream less than `at_worst` is not taken.
    pub(super) fn choose(
        codecs: &[RemoteCodec],
        stream: ProfileLevel,
        at_worst: Suits,
    ) -> Result<Self, Refusal> {
        let h264 = || codecs.iter().filter(|c| c.is_h264);
        if h264().next().is_none() {
            return Err(Refusal::NoH264);
        }
        let mode_1 = || h264().filter(|c| c.mode_1);
        if mode_1().next().is_none() {
            return Err(Refusal::NoMode1);
        }
        let rank = |c: &&RemoteCodec| {
            let said = matches!(c.profile_level, OfferedProfile::Said(_));
            let suits = c.offered()?.suits(stream);
            (suits <= at_worst).then_some((suits, !said))
        };
        let best = mode_1().filter_map(|c| rank(&c).map(|r| (r, c))).min_by_key(|(r, _)| *r);
        let Some((_, codec)) = best else {
            let list = |c: &RemoteCodec| match c.profile_level {
                OfferedProfile::Said(p) => format!("{} {p}", p.profile_name()),
                OfferedProfile::Unsaid => "baseline, unsaid".into(),
                OfferedProfile::Garbage => "an unreadable profile".into(),
            };
            return Err(Refusal::Profile {
                offered: mode_1().map(list).collect::<Vec<_>>().join(", "),
                stream: format!("{} {stream}", stream.profile_name()),
            });
        };
        let offered = codec.offered().unwrap_or(stream);
        // The level may differ from the offer's only where both sides allow it (RFC 6184
        // §8.2.2). Where the viewer does not say, its own level is the most we may promise;
        // a stream above it is sent all the same, because decoders do not stop there.
        let level_idc = match (codec.level_asymmetry, codec.profile_level) {
            (false, OfferedProfile::Said(p)) => stream.level_idc.min(p.level_idc),
            _ => stream.level_idc,
        };
        let rtx = codecs.iter().find(|c| c.is_rtx && c.apt == Some(codec.pt)).map(|c| c.pt);
        Ok(Self {
            pt: codec.pt,
            rtx,
            // The profile must be the offered one to the bit (RFC 6184 §8.2.2), or browsers find no
            // codec in the answer; the stream's own SPS says what it is.
            profile_level: ProfileLevel { level_idc, ..offered },
            level_asymmetry: codec.level_asymmetry,
            feedback: codec.feedback,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What OpenH264 makes of 720p30, and what a file in High at level 4 says.
    const CONSTRAINED_BASELINE: &str = "42c01f";

    /// Chooses among H.264 payload types 100, 101, … with the given format parameters.
    fn choose(parameters: &[&str], stream: &str) -> Result<Payload, Refusal> {
        let formats: Vec<String> = (100..100 + parameters.len()).map(|n| n.to_string()).collect();
        let mut codecs = RemoteCodec::list(&formats.join(" "));
        for (pt, parameters) in formats.iter().zip(parameters) {
            RemoteCodec::attribute(&mut codecs, "rtpmap", &format!("{pt} H264/90000"));
            RemoteCodec::attribute(&mut codecs, "fmtp", &format!("{pt} {parameters}"));
        }
        Payload::choose(&codecs, ProfileLevel::parse(stream).unwrap(), Suits::InPractice)
    }

    fn answered(parameters: &str) -> String {
        choose(&[parameters], CONSTRAINED_BASELINE).unwrap().profile_level.to_string()
    }

    #[test]
    fn the_answer_names_the_offered_profile_and_the_stream_s_level() {
        let asymmetric = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=";
        assert_eq!(answered(&format!("{asymmetric}42e01f")), "42e01f");
        assert_eq!(answered(&format!("{asymmetric}42001f")), "42001f");
        assert_eq!(answered(&format!("{asymmetric}4d0029")), "4d001f");
        assert_eq!(answered(&format!("{asymmetric}64000c")), "64001f");
        assert_eq!(answered("packetization-mode=1"), "42001f");
    }

    #[test]
    fn without_level_asymmetry_no_level_above_the_offer_is_promised() {
        assert_eq!(answered("packetization-mode=1;profile-level-id=42e015"), "42e015");
        assert_eq!(answered("packetization-mode=1; profile-level-id=42E034"), "42e01f");
    }

    #[test]
    fn the_exact_profile_is_preferred_to_one_that_includes_it() {
        let parameters = [
            "packetization-mode=1;profile-level-id=64001f",
            "packetization-mode=0;profile-level-id=42e01f",
            "packetization-mode=1;profile-level-id=42001f",
            "packetization-mode=1;profile-level-id=42e01f",
        ];
        assert_eq!(choose(&parameters, CONSTRAINED_BASELINE).unwrap().pt, 103);
        assert_eq!(choose(&parameters, "640028").unwrap().pt, 100);
    }

    /// The offers of Debian's Chromium 156, of Safari and of Firefox, as far as they matter here.
    const CHROMIUM: [&str; 4] = [
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f",
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f",
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=f4001f",
    ];
    const SAFARI: [&str; 2] = [
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f",
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    ];
    const FIREFOX: [&str; 1] =
        ["profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1"];

    #[test]
    fn a_stream_goes_under_the_profile_that_includes_it() {
        let sent = |offer: &[&str], stream| {
            let payload = choose(offer, stream).ok()?;
            Some((payload.pt, payload.profile_level.to_string()))
        };
        let (high, main, baseline) = ("640028", "4d0028", "420028");
        assert_eq!(sent(&CHROMIUM, high), Some((103, "f40028".into())));
        assert_eq!(sent(&CHROMIUM, main), Some((102, "4d0028".into())));
        assert_eq!(sent(&CHROMIUM, baseline), Some((100, "420028".into())));
        assert_eq!(sent(&CHROMIUM, CONSTRAINED_BASELINE), Some((101, "42e01f".into())));
        assert_eq!(sent(&SAFARI, high), Some((100, "640c28".into())));
        assert_eq!(sent(&SAFARI, main), Some((100, "640c28".into())));
        assert_eq!(sent(&SAFARI, baseline), Some((100, "640c28".into())));
        assert_eq!(sent(&FIREFOX, high), None);
        assert_eq!(sent(&FIREFOX, baseline), Some((100, "42e028".into())));
    }

    #[test]
    fn where_there_is_no_other_stream_one_that_may_not_suit_is_sent() {
        let mut codecs = RemoteCodec::list("100");
        RemoteCodec::attribute(&mut codecs, "rtpmap", "100 H264/90000");
        RemoteCodec::attribute(&mut codecs, "fmtp", &format!("100 {}", FIREFOX[0]));
        let stream = ProfileLevel::parse("640028").unwrap();
        let payload = Payload::choose(&codecs, stream, Suits::No).unwrap();
        assert_eq!((payload.pt, payload.profile_level.to_string()), (100, "42e028".into()));
    }

    #[test]
    fn garbage_is_passed_over_and_alone_refused() {
        for garbage in ["zze01f", "42e0", ""] {
            let bad = format!("packetization-mode=1;profile-level-id={garbage}");
            let good = "packetization-mode=1;profile-level-id=42e01f";
            assert_eq!(choose(&[&bad, good], CONSTRAINED_BASELINE).unwrap().pt, 101);
            let refusal = choose(&[&bad], CONSTRAINED_BASELINE).unwrap_err();
            assert!(refusal.to_string().contains("unreadable"), "{refusal}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        assert_eq!(choose(&[], CONSTRAINED_BASELINE).unwrap_err(), Refusal::NoH264);
        let mode_0 = "profile-level-id=42e01f";
        assert_eq!(choose(&[mode_0], CONSTRAINED_BASELINE).unwrap_err(), Refusal::NoMode1);
        let refusal =
            choose(&["packetization-mode=1;profile-level-id=42e01f"], "640028").unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the viewer's H.264 (constrained baseline 42e01f) does not cover this stream, which is high 640028"
        );
    }

    #[test]
    fn retransmissions_go_by_the_payload_type_that_names_ours() {
        let mut codecs = RemoteCodec::list("96 97 98 99");
        for (name, value) in [
            ("rtpmap", "96 VP8/90000"),
            ("rtpmap", "97 rtx/90000"),
            ("fmtp", "97 apt=96"),
            ("rtpmap", "98 H264/90000"),
            ("fmtp", "98 packetization-mode=1;profile-level-id=42e01f"),
            ("rtpmap", "99 rtx/90000"),
            ("fmtp", "99 apt=98"),
            ("rtcp-fb", "* nack"),
            ("rtcp-fb", "98 nack pli"),
        ] {
            RemoteCodec::attribute(&mut codecs, name, value);
        }
        let stream = ProfileLevel::constrained_baseline(31);
        let payload = Payload::choose(&codecs, stream, Suits::InPractice).unwrap();
        assert_eq!((payload.pt, payload.rtx), (98, Some(99)));
        let feedback = Feedback { nack: true, pli: true, fir: false, remb: false };
        assert_eq!(payload.feedback, feedback);
    }
}
