/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What the parts of the stand-in share. README.md says what it stands in for. */
#ifndef STAND_IN_H
#define STAND_IN_H

#include <linux/videodev2.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <media/v4l2-ctrls.h>
#include <media/v4l2-device.h>
#include <media/v4l2-fh.h>
#include <media/v4l2-mem2mem.h>
#include <media/videobuf2-v4l2.h>

#include "coder.h"

/* The module's parameters, named and described in device.c. */
struct settings {
	bool contiguous;
	unsigned int budget;
	unsigned int key_budget;
	unsigned int skip_every;
	unsigned int error_every;
	unsigned int delay_ms;
	unsigned int stick_after;
	/* Grows by one with every write to `stick`. */
	unsigned int sticks;
};

struct counters {
	unsigned int open_contexts;
	unsigned int pictures;
	unsigned int keys;
	unsigned int skipped;
	unsigned int errors;
};

extern struct settings settings;
extern struct counters counters;

struct stand_in {
	struct platform_device *platform;
	struct v4l2_device v4l2;
	struct video_device node;
	struct v4l2_m2m_dev *m2m;
	/* One picture is coded at a time, whoever's it is. */
	struct workqueue_struct *coding;
	struct mutex mutex;
};

/* How the samples of a raw format lie in its one plane. */
struct raw_format {
	u32 fourcc;
	/* Rows begin at multiples of it. */
	unsigned int align;
	enum { PLANAR, SEMI_PLANAR, PACKED } layout;
	/* Where the first samples lie: of the picture, of the chroma plane, or of a pair of pixels. */
	unsigned int luma_at, blue_at, red_at;
};

/* What S_FMT settled for one of the queues. */
struct side {
	const struct raw_format *raw; /* none on the coded side */
	unsigned int width, height;
	unsigned int bytesperline, sizeimage;
	/* What of the picture is coded. */
	unsigned int crop_width, crop_height;
	bool crop_set;
};

/* An access unit on its way into CAPTURE buffers. */
struct access_unit {
	u8 *data;
	size_t room, length, sent;
	/* Bytes of headers at its front that go into a buffer of their own. */
	size_t headers_alone;
	u64 timestamp;
	bool key;
	bool failed;
};

struct context {
	struct v4l2_fh fh;
	struct stand_in *device;
	struct v4l2_ctrl_handler controls;
	struct v4l2_ctrl *bitrate, *header_mode, *repeat_headers, *gop_size, *level, *profile;

	struct side raw, coded;
	enum v4l2_colorspace colorspace;
	enum v4l2_ycbcr_encoding encoding;
	enum v4l2_quantization quantization;
	enum v4l2_xfer_func transfer;
	struct v4l2_fract interval;

	struct work_struct work;
	wait_queue_head_t abort_wait;
	bool aborting;
	bool force_key;

	/* Of the stream since STREAMON; the work alone touches these while it runs. */
	struct h264_coder coder;
	void *memory;
	struct access_unit unit;
	bool repeat; /* repeat_headers as it was at STREAMON */
	bool started; /* the first picture has been coded */
	unsigned int since_key, offered, coded_pictures, with_headers;
	bool stuck;
	unsigned int sticks_seen;

	/* The end of the stream comes when `taken` raw buffers reach `end_at`. */
	spinlock_t end_lock;
	unsigned int queued, taken, end_at;
	bool ending;
};

static inline struct context *file_to_context(struct file *file)
{
	return container_of(file->private_data, struct context, fh);
}

static inline struct side *side_of(struct context *context, enum v4l2_buf_type type)
{
	return V4L2_TYPE_IS_OUTPUT(type) ? &context->raw : &context->coded;
}

int controls_init(struct context *context);
struct h264_format controls_format(const struct context *context);
size_t controls_budget(const struct context *context);

extern const struct v4l2_ioctl_ops stand_in_ioctls;
void formats_init(struct context *context);
/* The planes of a raw buffer that begins at `base`. */
struct h264_picture formats_picture(const struct side *side, const u8 *base);

extern const struct v4l2_m2m_ops stand_in_m2m;
int queues_init(void *context, struct vb2_queue *raw, struct vb2_queue *coded);
void queues_work(struct work_struct *work);
/* The stream ends after the raw buffers queued so far. */
void queues_end(struct context *context);

#endif
