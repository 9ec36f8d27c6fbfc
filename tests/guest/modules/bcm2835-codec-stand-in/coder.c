// SPDX-License-Identifier: MIT OR GPL-2.0
/* Picture coding; coder.h says how. */
#include "bits.h"
#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <string.h>
#endif

/* nal_ref_idc 1 and the types of table 7-1: the headers that the Pi's encoder writes too. */
#define NAL_SLICE 0x21
#define NAL_IDR_SLICE 0x25

#define FRAME_NUM_BITS 8

/* Table 7-11 and 7-13; in P slices the types of I slices begin at 5. */
#define MB_I_PCM 25
#define MB_I_16X16 1
#define MB_INTRA_IN_P 5

/* A macroblock sent as it is: its samples, its type and run with alignment. */
#define COST (MACROBLOCK_BYTES + 4)

/*
 * At this QP one step of a lone DC coefficient changes the 16 x 16 luma samples by 20/64 and the
 * 8 x 8 chroma samples by 40/64 (8.5.10, 8.5.11), so that any flat value is reached exactly.
 */
#define FLAT_QP 18
#define LUMA_STEP 20
#define CHROMA_STEP 40

struct colour {
	int luma, blue, red;
};

static unsigned int macroblocks(unsigned int width, unsigned int height)
{
	return (width + 15) / 16 * ((height + 15) / 16);
}

size_t h264_memory(unsigned int width, unsigned int height)
{
	return (size_t)macroblocks(width, height) * (MACROBLOCK_BYTES + 1);
}

size_t h264_worst_case(unsigned int width, unsigned int height)
{
	/* Black samples of value 0 grow by half from emulation prevention. */
	return 256 + (size_t)macroblocks(width, height) * (COST + COST / 2);
}

void h264_begin(struct h264_coder *coder, const struct h264_format *format, void *memory)
{
	memset(coder, 0, sizeof(*coder));
	coder->format = *format;
	coder->columns = (format->width + 15) / 16;
	coder->rows = (format->height + 15) / 16;
	coder->reference = memory;
	coder->sent = coder->reference + (size_t)coder->columns * coder->rows * MACROBLOCK_BYTES;
}

/* Copies a block out of a plane; beyond the picture's edge its last sample goes on. */
static void gather_plane(u8 *to, unsigned int side, const u8 *plane, size_t stride,
			 unsigned int step, unsigned int left, unsigned int top,
			 unsigned int width, unsigned int height)
{
	unsigned int x, y;

	for (y = 0; y < side; y++, to += side) {
		const u8 *row = plane + stride * (top + y < height ? top + y : height - 1);

		if (step == 1 && left + side <= width) {
			memcpy(to, row + left, side);
			continue;
		}
		for (x = 0; x < side; x++)
			to[x] = row[step * (left + x < width ? left + x : width - 1)];
	}
}

static void gather(const struct h264_coder *coder, const struct h264_picture *picture,
		   unsigned int address, u8 *to)
{
	unsigned int left = address % coder->columns, top = address / coder->columns;
	unsigned int width = coder->format.width, height = coder->format.height;

	gather_plane(to, 16, picture->luma, picture->luma_stride, picture->luma_step,
		     left * 16, top * 16, width, height);
	gather_plane(to + 256, 8, picture->blue, picture->chroma_stride, picture->chroma_step,
		     left * 8, top * 8, width / 2, height / 2);
	gather_plane(to + 320, 8, picture->red, picture->chroma_stride, picture->chroma_step,
		     left * 8, top * 8, width / 2, height / 2);
}

/* slice_header(), 7.3.3, of the whole picture's one slice. */
static void begin_slice(struct bits *bits, struct h264_coder *coder, bool key)
{
	bits_begin_nal(bits, key ? NAL_IDR_SLICE : NAL_SLICE);
	bits_ue(bits, 0);	/* first_mb_in_slice */
	bits_ue(bits, key ? 7 : 5);	/* slice_type: all of the picture is I, or P */
	bits_ue(bits, 0);	/* pic_parameter_set_id */
	bits_put(bits, coder->frame_num, FRAME_NUM_BITS);
	if (key) {
		bits_ue(bits, coder->idr_pic_id);
		bits_put(bits, 0, 1);	/* no_output_of_prior_pics_flag */
		bits_put(bits, 0, 1);	/* long_term_reference_flag */
	} else {
		bits_put(bits, 0, 1);	/* num_ref_idx_active_override_flag */
		bits_put(bits, 0, 1);	/* ref_pic_list_modification_flag_l0 */
		bits_put(bits, 0, 1);	/* adaptive_ref_pic_marking_mode_flag */
	}
	bits_se(bits, FLAT_QP - 26);	/* slice_qp_delta */
	bits_ue(bits, 1);	/* disable_deblocking_filter_idc */
}

static void end_slice(struct bits *bits, struct h264_coder *coder)
{
	bits_end_nal(bits);
	coder->frame_num = (coder->frame_num + 1) % (1 << FRAME_NUM_BITS);
}

/* Sends what the reference holds of a macroblock. */
static void put_samples(struct bits *bits, const struct h264_coder *coder, unsigned int address)
{
	const u8 *samples = coder->reference + (size_t)address * MACROBLOCK_BYTES;
	unsigned int i;

	bits_align(bits);
	for (i = 0; i < MACROBLOCK_BYTES; i++)
		bits_byte(bits, samples[i]);
}

static int mean(const u8 *samples, unsigned int count)
{
	unsigned int sum = count / 2, i;

	for (i = 0; i < count; i++)
		sum += samples[i];
	return sum / count;
}

/* The level of a lone coefficient that changes the samples by `change`, rounded to nearest. */
static int level_for(int change, int step)
{
	int size = (change < 0 ? -change : change) * 64 + step / 2;

	return change < 0 ? -(size / step) : size / step;
}

/*
 * residual_block_cavlc(), 7.3.5.3.2, of a block whose only level is its first. Neighbours have no
 * AC levels, so nC is 0 for luma; chroma DC has tables of its own (9.2.1).
 */
static void put_lone_level(struct bits *bits, int level, bool luma)
{
	u32 code = level > 0 ? 2 * level - 2 : -2 * level - 1;

	if (!level) {
		bits_put(bits, 1, luma ? 1 : 2);	/* coeff_token: none */
		return;
	}
	if (code < 2) {
		/* coeff_token: one level, of size one; then its sign. */
		bits_put(bits, 1, luma ? 2 : 1);
		bits_put(bits, code, 1);
	} else {
		/* coeff_token: one level, larger; then level_prefix and level_suffix (9.2.2.1). */
		bits_put(bits, luma ? 5 : 7, 6);
		code -= 2;
		if (code < 14) {
			bits_put(bits, 1, code + 1);
		} else if (code < 30) {
			bits_put(bits, 1, 15);
			bits_put(bits, code - 14, 4);
		} else {
			bits_put(bits, 1, 16);
			bits_put(bits, code - 30, 12);
		}
	}
	bits_put(bits, 1, 1);	/* total_zeros: none */
}

/* Sends a macroblock as one colour, predicted from the one before it or, at the left, above it. */
static void put_flat(struct bits *bits, const struct h264_coder *coder, unsigned int address)
{
	u8 *samples = coder->reference + (size_t)address * MACROBLOCK_BYTES;
	struct colour to = { mean(samples, 256), mean(samples + 256, 64), mean(samples + 320, 64) };
	struct colour from = { 128, 128, 128 };
	/* Tables 8-4 and 8-5 number the ways of prediction differently for luma and chroma. */
	unsigned int luma_way = 2, chroma_way = 0;
	const u8 *neighbour = NULL;
	int luma, blue, red;

	if (address % coder->columns) {
		neighbour = samples - MACROBLOCK_BYTES;
		luma_way = 1;
		chroma_way = 1;
	} else if (address) {
		neighbour = samples - (size_t)coder->columns * MACROBLOCK_BYTES;
		luma_way = 0;
		chroma_way = 2;
	}
	if (neighbour)
		from = (struct colour){ neighbour[0], neighbour[256], neighbour[320] };
	luma = level_for(to.luma - from.luma, LUMA_STEP);
	blue = level_for(to.blue - from.blue, CHROMA_STEP);
	red = level_for(to.red - from.red, CHROMA_STEP);

	bits_ue(bits, MB_I_16X16 + luma_way + (blue || red ? 4 : 0));
	bits_ue(bits, chroma_way);
	bits_se(bits, 0);	/* mb_qp_delta */
	put_lone_level(bits, luma, true);
	if (blue || red) {
		put_lone_level(bits, blue, false);
		put_lone_level(bits, red, false);
	}
	memset(samples, to.luma, 256);
	memset(samples + 256, to.blue, 64);
	memset(samples + 320, to.red, 64);
}

size_t h264_key_frame(struct h264_coder *coder, const struct h264_picture *picture,
			enum h264_key kind, u8 *out, size_t room)
{
	struct bits bits = { .out = out, .room = room };
	unsigned int address, count = coder->columns * coder->rows;

	coder->frame_num = 0;
	begin_slice(&bits, coder, true);
	for (address = 0; address < count; address++) {
		gather(coder, picture, address,
		       coder->reference + (size_t)address * MACROBLOCK_BYTES);
		if (kind == H264_KEY_EXACT) {
			bits_ue(&bits, MB_I_PCM);
			put_samples(&bits, coder, address);
		} else {
			put_flat(&bits, coder, address);
		}
	}
	end_slice(&bits, coder);
	/* Two key frames in a row must differ in it (7.4.3). */
	coder->idr_pic_id ^= 1;
	return bits_finish(&bits);
}

/* Takes changed macroblocks into the reference, round robin, until the budget is spent. */
static void choose(struct h264_coder *coder, const struct h264_picture *picture, size_t budget)
{
	unsigned int count = coder->columns * coder->rows;
	unsigned int start = coder->next, i;
	size_t spent = 0;
	u8 samples[MACROBLOCK_BYTES];

	memset(coder->sent, 0, count);
	for (i = 0; i < count && (!spent || spent + COST <= budget); i++) {
		unsigned int address = (start + i) % count;
		u8 *shown = coder->reference + (size_t)address * MACROBLOCK_BYTES;

		gather(coder, picture, address, samples);
		if (!memcmp(shown, samples, MACROBLOCK_BYTES))
			continue;
		memcpy(shown, samples, MACROBLOCK_BYTES);
		coder->sent[address] = 1;
		coder->next = (address + 1) % count;
		spent += COST;
	}
}

size_t h264_next_picture(struct h264_coder *coder, const struct h264_picture *picture,
			 size_t budget, u8 *out, size_t room)
{
	struct bits bits = { .out = out, .room = room };
	unsigned int address, skipped = 0;

	choose(coder, picture, budget);
	begin_slice(&bits, coder, false);
	for (address = 0; address < coder->columns * coder->rows; address++) {
		if (!coder->sent[address]) {
			skipped++;
			continue;
		}
		bits_ue(&bits, skipped);
		skipped = 0;
		bits_ue(&bits, MB_INTRA_IN_P + MB_I_PCM);
		put_samples(&bits, coder, address);
	}
	if (skipped)
		bits_ue(&bits, skipped);
	end_slice(&bits, coder);
	return bits_finish(&bits);
}
