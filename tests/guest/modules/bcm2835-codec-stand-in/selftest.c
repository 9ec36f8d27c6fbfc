// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Codes a moving picture in user space: the access units to one file, what a decoder must show for
 * them to another. `make check` lets ffmpeg decode the one and compares the result with the other.
 */
#include "coder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PICTURES 20

/* A moving gradient with a box of noise in it, and black corners to provoke start codes. */
static void draw(u8 *to, unsigned int width, unsigned int height, unsigned int number, int plane)
{
	unsigned int x, y;

	for (y = 0; y < height; y++)
		for (x = 0; x < width; x++) {
			u8 value = (x + y * (plane + 1)) / 4 + 16;

			if (x / 24 == number % 8 && y / 24 < 4)
				value = rand();
			if (x < width / 4 && y > height / 2)
				value = (x + number) % 37 ? 0 : 1;
			to[y * width + x] = value;
		}
}

static void fail(const char *what)
{
	fprintf(stderr, "selftest: %s\n", what);
	exit(1);
}

static void write_to(FILE *file, const void *from, size_t length)
{
	if (!length || fwrite(from, 1, length, file) != length)
		fail("a picture did not fit or could not be written");
}

/* Writes the reference as planes, cut to the picture's size. */
static void write_shown(FILE *file, const struct h264_coder *coder)
{
	static const unsigned int side[] = { 16, 8, 8 }, offset[] = { 0, 256, 320 };
	unsigned int plane, x, y;

	for (plane = 0; plane < 3; plane++)
		for (y = 0; y < coder->format.height * side[plane] / 16; y++)
			for (x = 0; x < coder->format.width * side[plane] / 16; x++) {
				unsigned int s = side[plane];
				size_t address = y / s * coder->columns + x / s;

				fputc(coder->reference[address * MACROBLOCK_BYTES + offset[plane] +
						       y % s * s + x % s], file);
			}
}

int main(int argc, char **argv)
{
	struct h264_coder coder;
	struct h264_format format = { .level = 40, .rate = 30, .rate_span = 1 };
	enum h264_key key = H264_KEY_EXACT;
	FILE *coded_file, *shown_file, *source_file;
	unsigned int number, chroma;
	size_t budget, room, length;
	u8 *source, *coded;

	if (argc != 9)
		fail("expects WIDTH HEIGHT PROFILE exact|flat BUDGET CODED SHOWN SOURCE");
	format.width = atoi(argv[1]);
	format.height = atoi(argv[2]);
	format.profile = atoi(argv[3]);
	if (!strcmp(argv[4], "flat"))
		key = H264_KEY_FLAT;
	budget = atol(argv[5]);
	coded_file = fopen(argv[6], "wb");
	shown_file = fopen(argv[7], "wb");
	source_file = fopen(argv[8], "wb");
	room = h264_worst_case(format.width, format.height);
	coded = malloc(room);
	chroma = format.width / 2 * (format.height / 2);
	source = malloc(format.width * format.height + 2 * chroma);
	if (!coded_file || !shown_file || !source_file || !coded || !source)
		fail("no memory or no file");
	if (!h264_level_allows(&format))
		fail("the level does not allow this size");
	h264_begin(&coder, &format, malloc(h264_memory(format.width, format.height)));

	for (number = 0; number < PICTURES; number++) {
		u8 *blue = source + format.width * format.height, *red = blue + chroma;
		struct h264_picture picture = {
			source, blue, red, format.width, format.width / 2, 1, 1,
		};

		draw(source, format.width, format.height, number, 0);
		draw(blue, format.width / 2, format.height / 2, number, 1);
		draw(red, format.width / 2, format.height / 2, number, 2);
		write_to(source_file, source, format.width * format.height + 2 * chroma);
		/* Two key frames in a row among them. */
		if (number == 0 || number == 10 || number == 11) {
			write_to(coded_file, coded, h264_headers(&coder, coded, room));
			length = h264_key_frame(&coder, &picture, key, coded, room);
		} else {
			length = h264_next_picture(&coder, &picture, budget, coded, room);
		}
		write_to(coded_file, coded, length);
		write_shown(shown_file, &coder);
	}
	if (h264_headers(&coder, coded, 10) || h264_next_picture(&coder, &(struct h264_picture){
			source, source, source, 0, 0, 1, 1 }, 1000, coded, 10))
		fail("a full buffer went unnoticed");
	return fclose(coded_file) || fclose(shown_file) || fclose(source_file);
}
