// SPDX-License-Identifier: MIT OR GPL-2.0
/* Sequence and picture parameter sets (7.3.2.1, 7.3.2.2), and what a level allows. */
#include "bits.h"

#define NAL_SPS 0x27
#define NAL_PPS 0x28

/* Table A-1: the most macroblocks per second and per picture. */
static const struct limit {
	unsigned int level, per_second, per_picture;
} limits[] = {
	{ H264_LEVEL_1B, 1485, 99 },
	{ 10, 1485, 99 },
	{ 11, 3000, 396 },
	{ 12, 6000, 396 },
	{ 13, 11880, 396 },
	{ 20, 11880, 396 },
	{ 21, 19800, 792 },
	{ 22, 20250, 1620 },
	{ 30, 40500, 1620 },
	{ 31, 108000, 3600 },
	{ 32, 216000, 5120 },
	{ 40, 245760, 8192 },
	{ 41, 245760, 8192 },
	{ 42, 522240, 8704 },
	{ 50, 589824, 22080 },
	{ 51, 983040, 36864 },
};

bool h264_level_allows(const struct h264_format *format)
{
	u64 count = (u64)((format->width + 15) / 16) * ((format->height + 15) / 16);
	unsigned int i;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (limits[i].level != format->level)
			continue;
		return count <= limits[i].per_picture &&
		       count * format->rate <= (u64)limits[i].per_second * format->rate_span;
	}
	return false;
}

/* profile_idc, the constraint flags and level_idc (7.4.2.1.1, A.2, A.3). */
static void put_profile(struct bits *bits, const struct h264_format *format)
{
	bool level_1b = format->level == H264_LEVEL_1B;
	unsigned int profile = 66, constraints = 0x80, level = format->level;

	switch (format->profile) {
	case H264_BASELINE:
		break;
	case H264_CONSTRAINED_BASELINE:
		constraints = 0xc0;
		break;
	case H264_MAIN:
		profile = 77;
		constraints = 0x40;
		break;
	case H264_HIGH:
		profile = 100;
		constraints = 0;
		break;
	}
	/* Below High, level 1b is level 1.1 with constraint_set3_flag. */
	if (level_1b && profile != 100) {
		constraints |= 0x10;
		level = 11;
	}
	bits_put(bits, profile, 8);
	bits_put(bits, constraints, 8);
	bits_put(bits, level, 8);
}

/* vui_parameters(), E.1.1: the frame rate, and that pictures come in the order they are shown. */
static void put_vui(struct bits *bits, const struct h264_format *format)
{
	bits_put(bits, 0, 4);	/* no aspect ratio, overscan, video signal or chroma location */
	bits_put(bits, 1, 1);	/* timing_info_present_flag */
	bits_put(bits, format->rate_span, 32);	/* num_units_in_tick */
	bits_put(bits, 2 * format->rate, 32);	/* time_scale: two ticks a frame */
	bits_put(bits, 0, 1);	/* fixed_frame_rate_flag: a picture may be skipped */
	bits_put(bits, 0, 3);	/* no HRD parameters, no pic_struct */
	bits_put(bits, 1, 1);	/* bitstream_restriction_flag */
	bits_put(bits, 1, 1);	/* motion_vectors_over_pic_boundaries_flag */
	bits_ue(bits, 0);	/* max_bytes_per_pic_denom: no limit */
	bits_ue(bits, 0);	/* max_bits_per_mb_denom: no limit */
	bits_ue(bits, 0);	/* log2_max_mv_length_horizontal */
	bits_ue(bits, 0);	/* log2_max_mv_length_vertical */
	bits_ue(bits, 0);	/* max_num_reorder_frames */
	bits_ue(bits, 1);	/* max_dec_frame_buffering */
}

static void put_sps(struct bits *bits, const struct h264_coder *coder)
{
	const struct h264_format *format = &coder->format;
	unsigned int right = (coder->columns * 16 - format->width) / 2;
	unsigned int bottom = (coder->rows * 16 - format->height) / 2;

	bits_begin_nal(bits, NAL_SPS);
	put_profile(bits, format);
	bits_ue(bits, 0);	/* seq_parameter_set_id */
	if (format->profile == H264_HIGH) {
		bits_ue(bits, 1);	/* chroma_format_idc: 4:2:0 */
		bits_ue(bits, 0);	/* bit_depth_luma_minus8 */
		bits_ue(bits, 0);	/* bit_depth_chroma_minus8 */
		bits_put(bits, 0, 2);	/* no transform bypass, no scaling matrix */
	}
	bits_ue(bits, 4);	/* log2_max_frame_num_minus4: FRAME_NUM_BITS in coder.c */
	bits_ue(bits, 2);	/* pic_order_cnt_type: as decoded */
	bits_ue(bits, 1);	/* max_num_ref_frames */
	bits_put(bits, 0, 1);	/* gaps_in_frame_num_value_allowed_flag */
	bits_ue(bits, coder->columns - 1);
	bits_ue(bits, coder->rows - 1);
	bits_put(bits, 1, 1);	/* frame_mbs_only_flag */
	bits_put(bits, 1, 1);	/* direct_8x8_inference_flag */
	bits_put(bits, right || bottom, 1);	/* frame_cropping_flag */
	if (right || bottom) {
		bits_ue(bits, 0);
		bits_ue(bits, right);
		bits_ue(bits, 0);
		bits_ue(bits, bottom);
	}
	bits_put(bits, 1, 1);	/* vui_parameters_present_flag */
	put_vui(bits, format);
	bits_end_nal(bits);
}

static void put_pps(struct bits *bits)
{
	bits_begin_nal(bits, NAL_PPS);
	bits_ue(bits, 0);	/* pic_parameter_set_id */
	bits_ue(bits, 0);	/* seq_parameter_set_id */
	bits_put(bits, 0, 1);	/* entropy_coding_mode_flag: CAVLC */
	bits_put(bits, 0, 1);	/* bottom_field_pic_order_in_frame_present_flag */
	bits_ue(bits, 0);	/* num_slice_groups_minus1 */
	bits_ue(bits, 0);	/* num_ref_idx_l0_default_active_minus1 */
	bits_ue(bits, 0);	/* num_ref_idx_l1_default_active_minus1 */
	bits_put(bits, 0, 3);	/* no weighted prediction */
	bits_se(bits, 0);	/* pic_init_qp_minus26 */
	bits_se(bits, 0);	/* pic_init_qs_minus26 */
	bits_se(bits, 0);	/* chroma_qp_index_offset */
	bits_put(bits, 1, 1);	/* deblocking_filter_control_present_flag */
	bits_put(bits, 0, 2);	/* no constrained intra prediction, no redundant pictures */
	bits_end_nal(bits);
}

size_t h264_headers(const struct h264_coder *coder, u8 *out, size_t room)
{
	struct bits bits = { .out = out, .room = room };

	put_sps(&bits, coder);
	put_pps(&bits);
	return bits_finish(&bits);
}
