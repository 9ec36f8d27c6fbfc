//! Telling the pictures of a stream of NAL units apart, and the order in which they are output.

use h264_reader::Context;
use h264_reader::nal::NalHeader;
use h264_reader::nal::pps::PicParameterSet;
use h264_reader::nal::slice::{
    DecRefPicMarking, Field, FieldPic, MemoryManagementControlOperation, PicOrderCountLsb,
    SliceHeader,
};
use h264_reader::nal::sps::{PicOrderCntType, SeqParameterSet};
use h264_reader::rbsp::{BitReader, decode_nal};

/// A slice's header is far shorter than this.
const SLICE_HEAD: usize = 512;

/// What a NAL unit is to the pictures around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NalRole {
    /// The first slice of a picture.
    FirstSlice(Picture),
    /// Belongs to the picture that follows, and so ends the one before (H.264 §7.4.1.2.3).
    BeforePicture,
    /// Belongs to the picture before.
    Continuation,
}

/// What the first slice of a picture says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub idr: bool,
    /// Rank in output order among all pictures: first the coded video sequence it belongs to, then its
    /// picture order count in that.
    pub output_rank: i64,
}

/// Follows a stream NAL unit by NAL unit.
#[derive(Default)]
pub(super) struct PictureDetector {
    context: Context,
    last: Option<SliceId>,
    /// Whether the slice with the picture's first macroblock was seen.
    begun: bool,
    /// Coded video sequences so far.
    sequence: i64,
    order: PicOrderCount,
}

/// All that must be equal for two slices to be of one picture (H.264 §7.4.1.2.4).
#[derive(PartialEq)]
struct SliceId {
    pps: u8,
    sps: u8,
    frame_num: u16,
    field: Option<bool>,
    is_reference: bool,
    idr_pic_id: Option<u32>,
    order: Option<(i64, i64)>,
}

/// §8.2.1.1: the picture order count grows out of its least significant bits.
#[derive(Default)]
struct PicOrderCount {
    /// High and low part for the last reference picture.
    msb: i64,
    lsb: i64,
    /// The count last given, for pictures that have none.
    last: i64,
}

impl PictureDetector {
    /// Takes the next NAL unit; of a slice, its head is enough.
    pub fn take(&mut self, nal: &[u8]) -> NalRole {
        // H.264 table 7-1.
        match nal.first().map_or(0, |b| b & 0x1f) {
            1 | 2 | 5 => self.slice(nal),
            7 => {
                if let Some(sps) = parse(nal, |r| SeqParameterSet::from_bits(r).ok()) {
                    self.context.put_seq_param_set(sps);
                }
                NalRole::BeforePicture
            }
            8 => {
                let context = &self.context;
                if let Some(pps) = parse(nal, |r| PicParameterSet::from_bits(context, r).ok()) {
                    self.context.put_pic_param_set(pps);
                }
                NalRole::BeforePicture
            }
            6 | 9 | 14..=18 => NalRole::BeforePicture,
            _ => NalRole::Continuation,
        }
    }

    /// The frame rate that the stream itself names (H.264 §E.2.1).
    pub fn vui_fps(&self) -> Option<f64> {
        self.context.sps().next()?.fps()
    }

    /// Whether pictures may be output in an order that cannot be told here: picture order count type
    /// 1, which hardly anybody uses, outside the baseline profile, which has no B slices.
    pub fn output_order_is_unknown(&self) -> bool {
        self.context.sps().any(|s| {
            let type_one = matches!(s.pic_order_cnt, PicOrderCntType::TypeOne { .. });
            type_one && u8::from(s.profile_idc) != 66
        })
    }

    fn slice(&mut self, nal: &[u8]) -> NalRole {
        let head = &nal[..nal.len().min(SLICE_HEAD)];
        let idr = nal[0] & 0x1f == 5;
        let rbsp = decode_nal(head).unwrap_or_default();
        let header = NalHeader::new(nal[0]).ok();
        let Some((header, (slice, sps, pps))) = header.and_then(|header| {
            let mut bits = BitReader::new(&*rbsp);
            let slice = SliceHeader::from_bits(&self.context, &mut bits, header, None).ok()?;
            Some((header, slice))
        }) else {
            // Damaged, or its parameter sets are missing. Only this much can be told then: the
            // first macroblock is number zero when the first bit is one.
            if nal.get(1).is_none_or(|b| b & 0x80 == 0) {
                return NalRole::Continuation;
            }
            self.last = None;
            self.order.last += 1;
            return self.new_picture(idr, self.order.last);
        };
        if slice.redundant_pic_cnt.is_some_and(|n| n > 0) {
            return NalRole::Continuation;
        }
        let id = SliceId::of(&slice, sps, pps, header);
        let first = slice.first_mb_in_slice == 0;
        // The second condition is not in the standard: cameras exist that code every picture as
        // an IDR picture and never change `idr_pic_id`.
        let same = self.last.as_ref() == Some(&id) && !(first && self.begun);
        self.begun = first || (same && self.begun);
        if same {
            return NalRole::Continuation;
        }
        let resets = idr || clears_references(&slice);
        let count = self.order.next(&slice, sps, header.nal_ref_idc() > 0, idr);
        self.last = Some(id);
        if resets && !idr {
            // §8.2.1: such a picture counts as zero for those after it, and is output after all
            // before it.
            self.sequence += 1;
            self.order = PicOrderCount::default();
            return self.new_picture(idr, 0);
        }
        self.new_picture(idr, count)
    }

    fn new_picture(&mut self, idr: bool, count: i64) -> NalRole {
        if idr {
            self.sequence += 1;
        }
        // A picture order count has 32 bits.
        let output_rank = (self.sequence << 33).saturating_add(count);
        NalRole::FirstSlice(Picture { idr, output_rank })
    }
}

impl SliceId {
    fn of(
        slice: &SliceHeader,
        sps: &SeqParameterSet,
        pps: &PicParameterSet,
        header: NalHeader,
    ) -> Self {
        Self {
            pps: pps.pic_parameter_set_id.id(),
            sps: sps.seq_parameter_set_id.id(),
            frame_num: slice.frame_num,
            field: match slice.field_pic {
                FieldPic::Frame => None,
                FieldPic::Field(Field::Top) => Some(false),
                FieldPic::Field(Field::Bottom) => Some(true),
            },
            is_reference: header.nal_ref_idc() > 0,
            idr_pic_id: slice.idr_pic_id,
            order: slice.pic_order_cnt_lsb.as_ref().map(|o| match *o {
                PicOrderCountLsb::Frame(lsb) => (lsb.into(), 0),
                PicOrderCountLsb::FieldsAbsolute {
                    pic_order_cnt_lsb,
                    delta_pic_order_cnt_bottom,
                } => (pic_order_cnt_lsb.into(), delta_pic_order_cnt_bottom.into()),
                PicOrderCountLsb::FieldsDelta([a, b]) => (a.into(), b.into()),
            }),
        }
    }
}

impl PicOrderCount {
    fn next(
        &mut self,
        slice: &SliceHeader,
        sps: &SeqParameterSet,
        is_reference: bool,
        idr: bool,
    ) -> i64 {
        if idr {
            *self = Self::default();
        }
        let (lsb, delta) = match slice.pic_order_cnt_lsb {
            Some(PicOrderCountLsb::Frame(lsb)) => (i64::from(lsb), 0),
            Some(PicOrderCountLsb::FieldsAbsolute {
                pic_order_cnt_lsb,
                delta_pic_order_cnt_bottom,
            }) => (pic_order_cnt_lsb.into(), delta_pic_order_cnt_bottom.into()),
            // Type 2 is output as it is coded; type 1 is not worked out.
            _ => {
                self.last += if idr { 0 } else { 1 };
                return self.last;
            }
        };
        let PicOrderCntType::TypeZero { log2_max_pic_order_cnt_lsb_minus4: log2 } =
            sps.pic_order_cnt
        else {
            return lsb;
        };
        let max = 1_i64 << (log2 + 4);
        let msb = if lsb < self.lsb && self.lsb - lsb >= max / 2 {
            self.msb + max
        } else if lsb > self.lsb && lsb - self.lsb > max / 2 {
            self.msb - max
        } else {
            self.msb
        };
        if is_reference {
            (self.msb, self.lsb) = (msb, lsb);
        }
        self.last = msb + lsb + delta.min(0);
        self.last
    }
}

fn clears_references(slice: &SliceHeader) -> bool {
    matches!(&slice.dec_ref_pic_marking, Some(DecRefPicMarking::Adaptive(ops))
        if ops.iter().any(|op| matches!(op, MemoryManagementControlOperation::AllRefPicturesUnused)))
}

fn parse<T>(nal: &[u8], read: impl FnOnce(BitReader<&[u8]>) -> Option<T>) -> Option<T> {
    let rbsp = decode_nal(nal).ok()?;
    read(BitReader::new(&*rbsp))
}
