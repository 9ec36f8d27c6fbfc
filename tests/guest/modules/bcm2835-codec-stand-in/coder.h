/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * The simplest truthful H.264 coder: what a decoder shows is known to the byte.
 *
 * A picture comes in as planes of 4:2:0 samples, an access unit in Annex B form goes out. A key
 * picture sends every macroblock as it is (I_PCM), or as one flat patch when that is too much. Any
 * other picture sends those macroblocks as they are that differ from what the decoder has, as many
 * as its budget allows, and skips the rest (P_Skip). Nothing is predicted from a neighbour that
 * could differ and the deblocking filter is off, so the coder's reference is the decoder's picture.
 *
 * The same file is built into the kernel module and into selftest.c. It allocates nothing.
 * Section numbers are those of ITU-T H.264.
 */
#ifndef CODER_H
#define CODER_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;
#endif

/* The samples of one macroblock: 16 x 16 luma, then 8 x 8 of each chroma. */
#define MACROBLOCK_BYTES 384

enum h264_profile {
	H264_BASELINE,
	H264_CONSTRAINED_BASELINE,
	H264_MAIN,
	H264_HIGH,
};

struct h264_format {
	/* Even, at least 2 each. */
	unsigned int width, height;
	enum h264_profile profile;
	/* As in table A-1, 40 for level 4; H264_LEVEL_1B for level 1b. */
	unsigned int level;
	/* Pictures in a span of seconds, for the timing in the SPS. */
	unsigned int rate, rate_span;
};

#define H264_LEVEL_1B 9

/* Where the samples of a picture lie. The steps say how far apart neighbours of a row are. */
struct h264_picture {
	const u8 *luma, *blue, *red;
	size_t luma_stride, chroma_stride;
	unsigned int luma_step, chroma_step;
};

enum h264_key {
	/* Every macroblock as it is: 384 bytes each. */
	H264_KEY_EXACT,
	/* Every macroblock as one colour: a few bytes each. */
	H264_KEY_FLAT,
};

struct h264_coder {
	struct h264_format format;
	unsigned int columns, rows;
	/* What the decoder shows, macroblock after macroblock. */
	u8 *reference;
	/* For each macroblock whether the picture being coded sends it. */
	u8 *sent;
	/* Where the next picture begins to look for macroblocks to send. */
	unsigned int next;
	unsigned int frame_num;
	unsigned int idr_pic_id;
};

/* Bytes of working memory for a size, and the most that one access unit can take. */
size_t h264_memory(unsigned int width, unsigned int height);
size_t h264_worst_case(unsigned int width, unsigned int height);

/* `memory` has h264_memory() bytes and outlives the coder. The first picture must be a key. */
void h264_begin(struct h264_coder *coder, const struct h264_format *format, void *memory);

/* Whether a level allows this size at this rate (A.3.1: MaxFS, MaxMBPS). */
bool h264_level_allows(const struct h264_format *format);

/* Each writes to `out` and returns the bytes written, 0 if `room` was too little. */
size_t h264_headers(const struct h264_coder *coder, u8 *out, size_t room);
size_t h264_key_frame(struct h264_coder *coder, const struct h264_picture *picture,
			enum h264_key kind, u8 *out, size_t room);
/* `budget` is in bytes; one changed macroblock is sent whatever it is. */
size_t h264_next_picture(struct h264_coder *coder, const struct h264_picture *picture,
			 size_t budget, u8 *out, size_t room);

#endif
