//! Session descriptions, looked at with other eyes than the daemon's.

use std::collections::HashSet;

use picket::media::h264::ProfileLevel;

/// A session description, taken apart without any help from the code under test.
pub struct Description<'a> {
    whole: &'a str,
    session: Vec<&'a str>,
    sections: Vec<Section<'a>>,
}

pub struct Section<'a> {
    kind: &'a str,
    port: &'a str,
    protocol: &'a str,
    formats: Vec<&'a str>,
    /// Attributes, without "a=".
    attributes: Vec<&'a str>,
}

impl<'a> Description<'a> {
    pub fn of(whole: &'a str) -> Self {
        let mut description = Self { whole, session: Vec::new(), sections: Vec::new() };
        for line in whole.lines().map(str::trim_end) {
            if let Some(m) = line.strip_prefix("m=") {
                let words: Vec<&str> = m.split_whitespace().collect();
                description.sections.push(Section {
                    kind: words[0],
                    port: words[1],
                    protocol: words[2],
                    formats: words[3..].to_vec(),
                    attributes: Vec::new(),
                });
            } else if let Some(section) = description.sections.last_mut() {
                section.attributes.extend(line.strip_prefix("a="));
            } else {
                description.session.push(line);
            }
        }
        description
    }

    /// The section that sends.
    pub fn sending(&self) -> usize {
        self.sections.iter().position(|s| s.has("sendonly")).expect("a section that sends")
    }
}

impl<'a> Section<'a> {
    /// Values of the attributes called `name`.
    fn all(&self, name: &str) -> Vec<&'a str> {
        let value = |a: &&'a str| match a.split_once(':') {
            Some((n, value)) => (n == name).then_some(value),
            None => (*a == name).then_some(""),
        };
        self.attributes.iter().filter_map(value).collect()
    }

    fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    fn one(&self, name: &str) -> &'a str {
        match self.all(name)[..] {
            [value] => value,
            _ => "",
        }
    }
}

/// What is wrong with `answer` to `offer` where `sps` is what the stream says of itself.
pub fn lint(answer: &Description, offer: &Description, sps: ProfileLevel) -> Vec<&'static str> {
    let mut problems = Vec::new();
    let mut must = |holds: bool, rule: &'static str| {
        if !holds {
            problems.push(rule);
        }
    };
    let lines: Vec<&str> = answer.whole.split_inclusive("\r\n").collect();
    must(lines.iter().all(|l| l.ends_with("\r\n") && !l.trim_end().contains('\n')), "lines: CRLF");
    let order: Vec<&str> = answer.session.iter().filter_map(|l| l.get(..2)).take(4).collect();
    must(order == ["v=", "o=", "s=", "t="], "the session begins v, o, s, t (RFC 8866 §5)");

    let shape = |d: &Description| -> Vec<(String, String, String)> {
        let each = |s: &Section| (s.kind.into(), s.protocol.into(), s.one("mid").trim().into());
        d.sections.iter().map(each).collect()
    };
    must(shape(answer) == shape(offer), "m-lines mirror the offer's (RFC 3264 §6)");
    let at = answer.sending();
    let (video, wanted) = (&answer.sections[at], &offer.sections[at]);
    let bundle = bundle_of(answer);
    let offered_bundle = bundle_of(offer);
    must(bundle.iter().all(|mid| offered_bundle.contains(mid)), "BUNDLE has offered mids only");
    let in_order = offered_bundle.iter().filter(|mid| bundle.contains(mid));
    must(in_order.eq(&bundle), "BUNDLE keeps the offer's order, and so the tagged section");
    let transport = |section: &Section| -> Vec<String> {
        let names = ["ice-ufrag", "ice-pwd", "fingerprint", "setup", "candidate"];
        names.iter().flat_map(|name| section.all(name)).map(Into::into).collect()
    };
    for (section, offered) in answer.sections.iter().zip(&offer.sections) {
        let (mid, sends) = (section.one("mid"), section.has("sendonly"));
        must(section.has("mid") == offered.has("mid"), "a mid for a mid (RFC 8829 §5.3.1)");
        let with_video = bundle.contains(&mid) && bundle.contains(&video.one("mid"));
        must(sends || section.has("inactive"), "what is not sent is inactive");
        must((section.port != "0") == (sends || with_video), "what is not bundled is declined");
        must(sends || with_video == offered_bundle.contains(&mid), "all of the bundle is taken up");
        if section.port != "0" {
            must(transport(section) == transport(video), "what is bundled has one transport");
            let rtp = section.protocol.contains("RTP/");
            must(section.has("rtcp-mux") == rtp, "RTCP is multiplexed wherever there is RTP");
        }
        let described = |format: &&str| {
            offered.all("rtpmap").iter().all(|line| !line.starts_with(&format!("{format} ")))
                || section.all("rtpmap").iter().any(|line| line.starts_with(&format!("{format} ")))
        };
        must(section.formats.iter().all(|f| offered.formats.contains(f)), "formats of the offer");
        must(section.formats.iter().all(described), "formats have their descriptions");
    }
    let sending = answer.sections.iter().filter(|s| s.has("sendonly")).count();
    must(sending == 1, "one section and no other sends");

    must(video.has("sendonly"), "the video is sendonly");
    must(!["sendrecv", "recvonly", "inactive"].iter().any(|d| video.has(d)), "one direction");
    must(video.has("rtcp-mux") && video.has("rtcp-mux-only"), "RTCP is multiplexed (RFC 8858)");
    must(video.all("msid").len() == 1, "one msid");
    must(video.one("fingerprint").starts_with("sha-256 "), "one SHA-256 fingerprint");
    let role = if wanted.one("setup") == "passive" { "active" } else { "passive" };
    must(video.one("setup") == role, "the viewer begins DTLS where it may (RFC 8842 §5.3)");
    must(video.one("ice-ufrag").len() >= 4 && video.one("ice-pwd").len() >= 22, "ICE credentials");
    must(video.has("candidate") && video.has("end-of-candidates"), "all candidates are there");

    let distinct: HashSet<&&str> = video.attributes.iter().collect();
    must(distinct.len() == video.attributes.len(), "nothing is said twice");
    must(video.formats.iter().all(|f| wanted.formats.contains(f)), "only offered payload types");
    for name in ["rtpmap", "fmtp", "rtcp-fb"] {
        let described = video.all(name);
        let of = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        must(described.iter().all(|l| video.formats.contains(&&of(l)[..])), "no stray formats");
        let offered: Vec<String> = wanted.all(name).iter().map(|l| l.to_lowercase()).collect();
        let mirrored =
            name == "fmtp" || described.iter().all(|l| offered.contains(&l.to_lowercase()));
        must(mirrored, "rtpmap and rtcp-fb mirror the offer's");
    }
    must(video.all("rtpmap").len() == video.formats.len(), "each format has an rtpmap");
    let stated = |id: &str| wanted.all("extmap").iter().any(|w| *w == id || same_extension(w, id));
    must(video.all("extmap").iter().all(|e| stated(e)), "extension numbers are the offer's");

    let fmtp = video.all("fmtp");
    let fmtp = fmtp.first().copied().unwrap_or_default();
    let parameter = |name: &str| {
        let (_, parameters) = fmtp.split_once(' ')?;
        parameters.split(';').find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('='))
    };
    must(parameter("packetization-mode") == Some("1"), "packetization mode 1");
    must(!answer.whole.contains("sprop-parameter-sets"), "parameter sets travel in the stream");
    let said = parameter("profile-level-id").and_then(ProfileLevel::parse);
    must(said.is_some_and(|p| p.decodes(sps)), "the profile covers the stream");
    must(said.is_some_and(|p| p.level_idc == sps.level_idc), "the level is the stream's");

    let rtx = video.formats.len() == 2;
    must(rtx == (video.all("ssrc-group").len() == 1), "RTX and FID go together (RFC 5576 §4.2)");
    let ssrcs: HashSet<&str> =
        video.all("ssrc").iter().filter_map(|s| s.split(' ').next()).collect();
    must(ssrcs.len() == if rtx { 2 } else { 1 }, "one SSRC, and one for RTX");
    problems
}

/// The tags of the BUNDLE group.
fn bundle_of<'a>(description: &Description<'a>) -> Vec<&'a str> {
    let group = description.session.iter().find_map(|l| l.strip_prefix("a=group:BUNDLE "));
    group.map(|mids| mids.split_whitespace().collect()).unwrap_or_default()
}

/// Whether two `extmap` values give one extension the same number. A direction may follow the
/// number (RFC 8285 §5).
fn same_extension(a: &str, b: &str) -> bool {
    let parts = |value: &str| {
        let mut words = value.split(' ');
        let id = words.next().and_then(|id| id.split('/').next()).map(ToOwned::to_owned);
        (id, words.next().map(ToOwned::to_owned))
    };
    parts(a) == parts(b)
}
