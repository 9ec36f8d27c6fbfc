/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Writes NAL units bit by bit, with start codes and emulation prevention (7.4.1, annex B). */
#ifndef BITS_H
#define BITS_H

#include "coder.h"

struct bits {
	u8 *out;
	size_t room;
	/* Counts on past `room`, so that one look at the end tells whether all was written. */
	size_t length;
	/* Zero bytes in a row at the end of the payload so far. */
	unsigned int zeros;
	/* The last bits that do not fill a byte yet, and how many they are. */
	u64 held;
	unsigned int held_bits;
};

static inline void bits_raw(struct bits *bits, u8 byte)
{
	if (bits->length < bits->room)
		bits->out[bits->length] = byte;
	bits->length++;
}

/* A byte of payload: 00 00 0x becomes 00 00 03 0x. */
static inline void bits_byte(struct bits *bits, u8 byte)
{
	if (bits->zeros == 2 && byte <= 3) {
		bits_raw(bits, 3);
		bits->zeros = 0;
	}
	bits_raw(bits, byte);
	bits->zeros = byte ? 0 : bits->zeros + 1;
}

/* u(count), at most 32 bits. */
static inline void bits_put(struct bits *bits, u32 value, unsigned int count)
{
	bits->held = bits->held << count | value;
	bits->held_bits += count;
	while (bits->held_bits >= 8) {
		bits->held_bits -= 8;
		bits_byte(bits, bits->held >> bits->held_bits);
	}
}

/* ue(v), 9.1. */
static inline void bits_ue(struct bits *bits, u32 value)
{
	unsigned int length = 0;

	while ((value + 1) >> (length + 1))
		length++;
	bits_put(bits, 0, length);
	bits_put(bits, value + 1, length + 1);
}

/* se(v), 9.1.1. */
static inline void bits_se(struct bits *bits, int value)
{
	bits_ue(bits, value > 0 ? 2 * value - 1 : -2 * value);
}

/* Zero bits up to the next byte. */
static inline void bits_align(struct bits *bits)
{
	if (bits->held_bits)
		bits_put(bits, 0, 8 - bits->held_bits);
}

static inline void bits_begin_nal(struct bits *bits, u8 header)
{
	bits_raw(bits, 0);
	bits_raw(bits, 0);
	bits_raw(bits, 0);
	bits_raw(bits, 1);
	bits_raw(bits, header);
	bits->zeros = 0;
}

/* rbsp_trailing_bits(), 7.3.2.11. */
static inline void bits_end_nal(struct bits *bits)
{
	bits_put(bits, 1, 1);
	bits_align(bits);
}

/* What was written, 0 if it did not fit. */
static inline size_t bits_finish(const struct bits *bits)
{
	return bits->length <= bits->room ? bits->length : 0;
}

#endif
