//! The little H.264 syntax that several rooms need: finding NAL units in an Annex B byte stream
//! (ITU-T H.264 Annex B), telling them apart (table 7-1) and reading the sequence parameter set
//! (§7.3.2.1, by the `h264-reader` crate).

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::rbsp::{BitReader, decode_nal};

/// The four-byte start code written before every NAL unit.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Why bytes are not a picture that can be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BitstreamError {
    /// No slice among the NAL units.
    #[error("no picture in the bitstream: expected at least one H.264 slice")]
    NoPicture,
    /// A key frame without SPS and PPS, and none came before.
    #[error("key frame without SPS and PPS, and none came before it")]
    NoParameterSets,
    /// Data partitioning is an Extended-profile tool no browser decodes.
    #[error("data-partitioned slices (Extended profile) cannot be played by browsers")]
    DataPartitioning,
    /// A picture in absurdly many pieces.
    #[error("more than {0} NAL units in one picture")]
    TooManyNalUnits(usize),
    /// The sequence parameter set does not parse.
    #[error("unreadable sequence parameter set: {0}")]
    Sps(String),
}

/// What a NAL unit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalType {
    /// Coded slice of a non-IDR picture (1).
    Slice,
    /// Slice data partition A, B or C (2–4).
    Partition,
    /// Coded slice of an IDR picture (5).
    Idr,
    /// Supplemental enhancement information (6).
    Sei,
    /// Sequence parameter set (7).
    Sps,
    /// Picture parameter set (8).
    Pps,
    /// Access unit delimiter, end of sequence or stream, filler (9–12): meaningful only inside
    /// a byte stream, dropped before a picture travels in RTP. Empty units count here too.
    Framing,
    /// Anything else.
    Other(u8),
}

impl NalType {
    /// The type of `nal`, which begins with its one-byte header.
    #[must_use]
    pub fn of(nal: &[u8]) -> Self {
        match nal.first().map(|b| b & 0x1f) {
            Some(1) => Self::Slice,
            Some(2..=4) => Self::Partition,
            Some(5) => Self::Idr,
            Some(6) => Self::Sei,
            Some(7) => Self::Sps,
            Some(8) => Self::Pps,
            Some(9..=12) | None => Self::Framing,
            Some(n) => Self::Other(n),
        }
    }

    /// Whether it carries picture data.
    #[must_use]
    pub fn is_slice(self) -> bool {
        matches!(self, Self::Slice | Self::Idr | Self::Partition)
    }
}

/// The NAL units of an Annex B byte stream, without start codes and trailing zero bytes.
/// Bytes before the first start code are skipped.
pub fn nal_ranges(data: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut next = find_start_code(data, 0);
    std::iter::from_fn(move || {
        loop {
            let start = next? + 3;
            next = find_start_code(data, start);
            let mut end = next.unwrap_or(data.len());
            while end > start && data[end - 1] == 0 {
                end -= 1;
            }
            if end > start {
                return Some(start..end);
            }
        }
    })
}

/// Index of the first `00 00 01` at or after `from`.
///
/// Every byte of every picture passes here, so it is done in blocks: large ones cost least a byte,
/// small ones leave less over at the end.
fn find_start_code(data: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    let code = in_blocks::<129>(data, &mut at).or_else(|| in_blocks::<17>(data, &mut at));
    code.or_else(|| one_by_one(data, at..data.len()))
}

/// Index of the first start code that begins in the blocks of `N` bytes from `at` on, of which each
/// begins with the last byte of the one before. If there is none, `at` is where they end.
fn in_blocks<const N: usize>(data: &[u8], at: &mut usize) -> Option<usize> {
    while let Some((block, _)) = data.get(*at..)?.split_first_chunk::<N>() {
        // Coded pictures rarely have two zeros in a row elsewhere (§7.4.1: emulation prevention).
        if has_two_zeros(block)
            && let Some(code) = one_by_one(data, *at..data.len().min(*at + N + 1))
        {
            return Some(code);
        }
        *at += N - 1;
    }
    None
}

/// Whether there are two zeros in a row. Without a branch, which the compiler turns into
/// instructions for sixteen bytes each.
fn has_two_zeros<const N: usize>(block: &[u8; N]) -> bool {
    (1..N).fold(u8::MAX, |least, i| least.min(block[i - 1] | block[i])) == 0
}

fn one_by_one(data: &[u8], range: Range<usize>) -> Option<usize> {
    let at = data.get(range.clone())?.windows(3).position(|bytes| bytes == [0, 0, 1])?;
    Some(range.start + at)
}

/// The three bytes of `profile-level-id` (RFC 6184 §8.1): `profile_idc`, the constraint flags,
/// `level_idc`. They follow the header byte of every SPS.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProfileLevel {
    /// 66 baseline, 77 main, 100 high …
    pub profile_idc: u8,
    /// `constraint_set0_flag` in the top bit, and so on.
    pub constraints: u8,
    /// Ten times the level: 31 for 3.1.
    pub level_idc: u8,
}

impl ProfileLevel {
    /// Constrained baseline at `level_idc`: what Picket's own encoders make.
    #[must_use]
    pub const fn constrained_baseline(level_idc: u8) -> Self {
        Self { profile_idc: 66, constraints: 0xe0, level_idc }
    }

    /// The six hexadecimal digits an SDP carries.
    ///
    /// # Errors
    /// Returns `None` unless there are six hexadecimal digits and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 6 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let [_, profile_idc, constraints, level_idc] =
            u32::from_str_radix(text, 16).ok()?.to_be_bytes();
        Some(Self { profile_idc, constraints, level_idc })
    }

    /// Whether a decoder for `self`'s profile decodes a stream of `stream`'s profile. Levels are not
    /// compared.
    #[must_use]
    pub fn decodes(self, stream: Self) -> bool {
        self.suits(stream) < Suits::No
    }

    /// How well a decoder for `self`'s profile suits a stream of `stream`'s profile (H.264 Annex
    /// A.2, RFC 6184 table 5). Levels are not compared.
    #[must_use]
    pub(crate) fn suits(self, stream: Self) -> Suits {
        use Profile::{Baseline, ConstrainedBaseline, ConstrainedHigh, High, High444, Main};
        let (Some(mine), Some(theirs)) = (self.profile(), stream.profile()) else {
            return Suits::No;
        };
        match (mine, theirs) {
            _ if mine == theirs => Suits::Exactly,
            (Baseline | Main | ConstrainedHigh | High, ConstrainedBaseline)
            | (High, Main | ConstrainedHigh)
            // §A.2.11: it includes all that have no SVC, MVC or field order tricks of Baseline.
            | (High444, ConstrainedBaseline | Main | ConstrainedHigh | High) => Suits::Included,
            // What is sent is progressive and in the order of showing, which is all that
            // Constrained High asks beyond High; and no encoder makes those slices for which
            // Baseline is not constrained.
            (ConstrainedHigh, High | Main)
            | (ConstrainedBaseline | Main | ConstrainedHigh | High | High444, Baseline) => {
                Suits::InPractice
            }
            _ => Suits::No,
        }
    }

    fn profile(self) -> Option<Profile> {
        let set = |n: u8| self.constraints & (0x80 >> n) != 0;
        match self.profile_idc {
            66 if set(1) => Some(Profile::ConstrainedBaseline),
            77 if set(0) => Some(Profile::ConstrainedBaseline),
            66 => Some(Profile::Baseline),
            77 => Some(Profile::Main),
            100 if set(4) && set(5) => Some(Profile::ConstrainedHigh),
            100 => Some(Profile::High),
            244 => Some(Profile::High444),
            _ => None,
        }
    }

    /// The profile's name for people.
    #[must_use]
    pub fn profile_name(self) -> String {
        match self.profile() {
            Some(Profile::ConstrainedBaseline) => "constrained baseline".into(),
            Some(Profile::Baseline) => "baseline".into(),
            Some(Profile::Main) => "main".into(),
            Some(Profile::ConstrainedHigh) => "constrained high".into(),
            Some(Profile::High) => "high".into(),
            Some(Profile::High444) => "high 4:4:4 predictive".into(),
            None => format!("profile {}", self.profile_idc),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Profile {
    ConstrainedBaseline,
    Baseline,
    Main,
    ConstrainedHigh,
    High,
    High444,
}

/// How well a decoder suits a stream, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Suits {
    /// It is for that profile.
    Exactly,
    /// Its profile includes the stream's.
    Included,
    /// Its profile includes what streams of that profile are made of here.
    InPractice,
    /// It may fail.
    No,
}

impl fmt::Display for ProfileLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}", self.profile_idc, self.constraints, self.level_idc)
    }
}

impl fmt::Debug for ProfileLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What a sequence parameter set says about the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpsInfo {
    /// Profile and level.
    pub profile_level: ProfileLevel,
    /// Width of the visible picture in pixels.
    pub width: u32,
    /// Height of the visible picture in pixels.
    pub height: u32,
    /// Whether pictures may be shown in another order than they are coded in (B-frames). Set
    /// when the stream does not promise otherwise.
    pub may_reorder: bool,
    /// Whether pictures are coded as two interlaced fields or may be.
    pub interlaced: bool,
    /// Chroma 4:2:0 with 8 bits a sample, the only kind browsers decode.
    pub is_420_8bit: bool,
    /// `video_full_range_flag`: whether black is 0 and white 255, rather than 16 and 235; where the
    /// stream says (§E.2.1).
    pub full_range: Option<bool>,
    /// Width and height of a pixel, as a ratio, where the stream says (§E.2.1).
    pub pixel_aspect: Option<(u32, u32)>,
}

impl SpsInfo {
    /// Reads an SPS NAL unit, header byte included.
    ///
    /// # Errors
    /// When the NAL unit is not a well-formed SPS.
    pub fn parse(nal: &[u8]) -> Result<Self, BitstreamError> {
        let bad = |e: &dyn fmt::Debug| BitstreamError::Sps(format!("{e:?}"));
        // The largest legal SPS is far smaller; the bound keeps hostile input cheap.
        if nal.len() > 4096 || NalType::of(nal) != NalType::Sps {
            return Err(BitstreamError::Sps("not a sequence parameter set".into()));
        }
        let rbsp = decode_nal(nal).map_err(|e| bad(&e))?;
        let sps = SeqParameterSet::from_bits(BitReader::new(&*rbsp)).map_err(|e| bad(&e))?;
        let (width, height) = sps.pixel_dimensions().map_err(|e| bad(&e))?;
        let reorder = sps
            .vui_parameters
            .as_ref()
            .and_then(|v| v.bitstream_restrictions.as_ref())
            .map(|b| b.max_num_reorder_frames);
        let profile_level =
            ProfileLevel { profile_idc: nal[1], constraints: nal[2], level_idc: nal[3] };
        let chroma = &sps.chroma_info;
        let vui = sps.vui_parameters.as_ref();
        let aspect = vui.and_then(|v| v.aspect_ratio_info.as_ref()).and_then(|a| a.get());
        Ok(Self {
            profile_level,
            width,
            height,
            // The baseline profiles have no B slices and order type 2 forbids reordering.
            may_reorder: match (profile_level.profile_idc, &sps.pic_order_cnt, reorder) {
                (66, _, _) | (_, h264_reader::nal::sps::PicOrderCntType::TypeTwo, _) => false,
                (_, _, Some(n)) => n > 0,
                (_, _, None) => true,
            },
            interlaced: !matches!(
                sps.frame_mbs_flags,
                h264_reader::nal::sps::FrameMbsFlags::Frames
            ),
            is_420_8bit: chroma.chroma_format == h264_reader::nal::sps::ChromaFormat::YUV420
                && chroma.bit_depth_luma_minus8 == 0
                && chroma.bit_depth_chroma_minus8 == 0,
            full_range: vui
                .and_then(|v| v.video_signal_type.as_ref())
                .map(|signal| signal.video_full_range_flag),
            pixel_aspect: aspect
                .map(|(w, h)| (u32::from(w), u32::from(h)))
                .filter(|(w, h)| *w > 0 && *h > 0),
        })
    }
}

/// The SPS and PPS last seen in a stream.
#[derive(Clone, Debug, Default)]
pub struct ParameterSets {
    sps: Option<Bytes>,
    pps: Option<Bytes>,
    screen: Option<SpsScreen>,
}

impl ParameterSets {
    /// Those of a stream that may be damaged on its way, as what a device writes may be: an SPS
    /// that is must not be remembered, for it would be put before every key frame that is to
    /// come.
    #[must_use]
    pub fn screened() -> Self {
        Self { screen: Some(SpsScreen::default()), ..Self::default() }
    }

    /// Remembers an SPS.
    ///
    /// # Errors
    /// When it is [screened](Self::screened) and damaged.
    pub fn saw_sps(&mut self, nal: &[u8]) -> Result<(), BitstreamError> {
        // They repeat with every key frame and almost never change.
        if self.sps.as_deref() != Some(nal) {
            if let Some(screen) = &mut self.screen {
                screen.pass(nal)?;
            }
            self.sps = Some(Bytes::copy_from_slice(nal));
        }
        Ok(())
    }

    /// Remembers a PPS.
    pub fn saw_pps(&mut self, nal: &[u8]) {
        if self.pps.as_deref() != Some(nal) {
            self.pps = Some(Bytes::copy_from_slice(nal));
        }
    }

    /// SPS and PPS, once both were seen.
    #[must_use]
    pub fn both(&self) -> Option<(&Bytes, &Bytes)> {
        Some((self.sps.as_ref()?, self.pps.as_ref()?))
    }
}

/// Tells an SPS that was damaged on its way from one that is merely unusual: where those of a
/// stream can be read, one that cannot is damaged.
#[derive(Clone, Debug, Default)]
struct SpsScreen {
    readable: bool,
}

impl SpsScreen {
    fn pass(&mut self, nal: &[u8]) -> Result<(), BitstreamError> {
        match SpsInfo::parse(nal) {
            Ok(_) => self.readable = true,
            Err(error) if self.readable || nal.len() < 4 => return Err(error),
            Err(_) => {}
        }
        Ok(())
    }
}

/// The lowest level (H.264 table A-1) that allows pictures of this size at this rate, as
/// `level_idc`. Level 5.2 is the answer for anything larger too.
#[must_use]
pub(crate) fn level_for(width: u32, height: u32, fps: f64) -> u8 {
    /// `level_idc`, macroblocks a second, macroblocks a picture.
    const LEVELS: [(u8, f64, u32); 13] = [
        (10, 1_485.0, 99),
        (11, 3_000.0, 396),
        (12, 6_000.0, 396),
        (13, 11_880.0, 396),
        (21, 19_800.0, 792),
        (22, 20_250.0, 1_620),
        (30, 40_500.0, 1_620),
        (31, 108_000.0, 3_600),
        (32, 216_000.0, 5_120),
        (40, 245_760.0, 8_192),
        (42, 522_240.0, 8_704),
        (50, 589_824.0, 22_080),
        (51, 983_040.0, 36_864),
    ];
    let (across, down) = (width.div_ceil(16), height.div_ceil(16));
    let picture = across.saturating_mul(down);
    LEVELS
        .iter()
        .find(|&&(_, rate, size)| {
            // A side may be at most the square root of eight times the picture's limit.
            let side = f64::from(size * 8).sqrt();
            picture <= size
                && f64::from(picture) * fps <= rate
                && f64::from(across.max(down)) <= side
        })
        .map_or(52, |l| l.0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// 1280×720 constrained baseline 3.1 from OpenH264, and its PPS.
    pub(crate) const SPS: &[u8] = &[
        0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0xdd, 0x80, 0xa0, 0xf0, 0x88, 0x45,
        0xa0,
    ];
    pub(crate) const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];

    pub(crate) fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|n| START_CODE.iter().chain(n.iter()).copied()).collect()
    }

    #[test]
    fn start_codes_of_three_and_four_bytes_are_found_everywhere() {
        let found = |d: &[u8]| nal_ranges(d).map(|r| d[r].to_vec()).collect::<Vec<_>>();
        assert_eq!(
            found(&[0, 0, 1, 7, 8, 0, 0, 0, 1, 9, 0, 0, 1, 5]),
            [vec![7, 8], vec![9], vec![5]]
        );
        assert_eq!(found(&[1, 2, 0, 0, 1, 6, 0, 0, 0]), [vec![6]]);
        assert_eq!(found(&[0, 0, 1, 0, 0, 1]), Vec::<Vec<u8>>::new());
        assert_eq!(found(&[0, 0]), Vec::<Vec<u8>>::new());
        assert_eq!(found(&[0, 0, 1, 0, 0, 3, 1, 4]), [vec![0, 0, 3, 1, 4]]);
    }

    #[test]
    fn a_naive_search_finds_the_same_start_codes() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..5000 {
            // Near misses all over, and now and then; over less than a block, and several.
            let (others, len) = (random.u8(1..250), random.usize(..600));
            let data: Vec<u8> = (0..len)
                .map(|_| {
                    [0, 0, 0, 1, 2].get(random.usize(..5 + usize::from(others))).map_or(7, |b| *b)
                })
                .collect();
            let from = random.usize(..=len);
            let naive = data[from..].windows(3).position(|w| w == [0, 0, 1]).map(|at| from + at);
            assert_eq!(find_start_code(&data, from), naive, "{data:?} from {from}");
        }
    }

    #[test]
    fn a_start_code_is_found_wherever_it_is() {
        for len in [3, 16, 17, 18, 19, 128, 129, 130, 131, 149, 391] {
            for at in 0..=len - 3 {
                let mut data = vec![9; len];
                data[at..at + 3].copy_from_slice(&[0, 0, 1]);
                assert_eq!(find_start_code(&data, 0), Some(at), "in {len}");
            }
        }
    }

    #[test]
    fn profile_level_id_is_six_hex_digits_or_nothing() {
        assert_eq!(ProfileLevel::parse("42e01f"), Some(ProfileLevel::constrained_baseline(31)));
        assert_eq!(ProfileLevel::parse("64001F").unwrap().to_string(), "64001f");
        for bad in ["zze01f", "42e0", "42e01f0", "+2e01f", "", "42e01é"] {
            assert_eq!(ProfileLevel::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_common_decoder_takes_constrained_baseline_but_not_the_reverse() {
        let suits = |decoder, stream| {
            let [decoder, stream] = [decoder, stream].map(|s| ProfileLevel::parse(s).unwrap());
            decoder.suits(stream)
        };
        for decoder in ["42e01f", "42001f", "4d001f", "64001f", "640c1f", "4de01f", "f4001f"] {
            assert!(suits(decoder, "42c028") <= Suits::Included, "{decoder}");
            assert!(suits(decoder, "420028") <= Suits::InPractice, "{decoder}");
        }
        assert_eq!(suits("42e01f", "64001f"), Suits::No);
        assert_eq!(suits("42001f", "4d001f"), Suits::No);
        assert_eq!(suits("4d001f", "640028"), Suits::No);
        assert_eq!(suits("64001f", "4d001f"), Suits::Included);
        assert_eq!(suits("f4001f", "640028"), Suits::Included);
        assert_eq!(suits("640c1f", "640028"), Suits::InPractice);
        assert_eq!(suits("640028", "f4001f"), Suits::No);
        assert_eq!(suits("64001f", "64001f"), Suits::Exactly);
    }

    #[test]
    fn levels_follow_table_a_1() {
        assert_eq!(level_for(1280, 720, 30.0), 31);
        assert_eq!(level_for(1280, 720, 60.0), 32);
        assert_eq!(level_for(1920, 1080, 30.0), 40);
        assert_eq!(level_for(640, 480, 30.0), 30);
        assert_eq!(level_for(3840, 2160, 30.0), 51);
        assert_eq!(level_for(176, 144, 15.0), 10);
    }
}
