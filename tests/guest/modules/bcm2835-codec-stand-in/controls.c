// SPDX-License-Identifier: MIT OR GPL-2.0
/* The encoder's controls, with the ranges and defaults of the Pi's driver. */
#include "stand-in.h"

static int set_control(struct v4l2_ctrl *control)
{
	struct context *context = container_of(control->handler, struct context, controls);

	switch (control->id) {
	case V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME:
		WRITE_ONCE(context->force_key, true);
		break;
	case V4L2_CID_MPEG_VIDEO_H264_I_PERIOD:
		/* The two are one on the Pi, whose intra pictures are all IDR pictures. */
		return __v4l2_ctrl_s_ctrl(context->gop_size, control->val);
	}
	/* The others are read when they matter. */
	return 0;
}

static const struct v4l2_ctrl_ops control_ops = {
	.s_ctrl = set_control,
};

static struct v4l2_ctrl *number(struct context *context, u32 id, s64 least, s64 most, u64 step,
				s64 value)
{
	return v4l2_ctrl_new_std(&context->controls, &control_ops, id, least, most, step, value);
}

static struct v4l2_ctrl *menu(struct context *context, u32 id, u8 most, u64 left_out, u8 value)
{
	return v4l2_ctrl_new_std_menu(&context->controls, &control_ops, id, most, left_out, value);
}

int controls_init(struct context *context)
{
	const u64 profiles = BIT(V4L2_MPEG_VIDEO_H264_PROFILE_BASELINE) |
			     BIT(V4L2_MPEG_VIDEO_H264_PROFILE_CONSTRAINED_BASELINE) |
			     BIT(V4L2_MPEG_VIDEO_H264_PROFILE_MAIN) |
			     BIT(V4L2_MPEG_VIDEO_H264_PROFILE_HIGH);

	v4l2_ctrl_handler_init(&context->controls, 12);
	menu(context, V4L2_CID_MPEG_VIDEO_BITRATE_MODE, V4L2_MPEG_VIDEO_BITRATE_MODE_CBR, 0,
	     V4L2_MPEG_VIDEO_BITRATE_MODE_VBR);
	context->bitrate = number(context, V4L2_CID_MPEG_VIDEO_BITRATE, 25000, 25000000, 25000,
				  10000000);
	context->header_mode = menu(context, V4L2_CID_MPEG_VIDEO_HEADER_MODE,
				    V4L2_MPEG_VIDEO_HEADER_MODE_JOINED_WITH_1ST_FRAME, 0,
				    V4L2_MPEG_VIDEO_HEADER_MODE_JOINED_WITH_1ST_FRAME);
	context->repeat_headers = number(context, V4L2_CID_MPEG_VIDEO_REPEAT_SEQ_HEADER, 0, 1, 1,
					 0);
	number(context, V4L2_CID_MPEG_VIDEO_H264_I_PERIOD, 0, S32_MAX, 1, 60);
	context->level = menu(context, V4L2_CID_MPEG_VIDEO_H264_LEVEL,
			      V4L2_MPEG_VIDEO_H264_LEVEL_5_1, 0, V4L2_MPEG_VIDEO_H264_LEVEL_4_0);
	context->profile = menu(context, V4L2_CID_MPEG_VIDEO_H264_PROFILE,
				V4L2_MPEG_VIDEO_H264_PROFILE_HIGH, ~profiles,
				V4L2_MPEG_VIDEO_H264_PROFILE_HIGH);
	number(context, V4L2_CID_MPEG_VIDEO_H264_MIN_QP, 0, 51, 1, 20);
	number(context, V4L2_CID_MPEG_VIDEO_H264_MAX_QP, 0, 51, 1, 51);
	number(context, V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME, 0, 0, 0, 0);
	number(context, V4L2_CID_MPEG_VIDEO_B_FRAMES, 0, 0, 1, 0);
	context->gop_size = number(context, V4L2_CID_MPEG_VIDEO_GOP_SIZE, 0, S32_MAX, 1, 60);
	if (context->controls.error)
		return context->controls.error;
	context->fh.ctrl_handler = &context->controls;
	return v4l2_ctrl_handler_setup(&context->controls);
}

struct h264_format controls_format(const struct context *context)
{
	/* In the order of enum v4l2_mpeg_video_h264_level. */
	static const unsigned int levels[] = {
		10, H264_LEVEL_1B, 11, 12, 13, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51,
	};
	struct h264_format format = {
		/* Chroma has half the samples, so a row or column too many is left out. */
		.width = context->raw.crop_width & ~1,
		.height = context->raw.crop_height & ~1,
		.level = levels[context->level->cur.val],
		.rate = context->interval.denominator,
		.rate_span = context->interval.numerator,
	};

	switch (context->profile->cur.val) {
	case V4L2_MPEG_VIDEO_H264_PROFILE_BASELINE:
		format.profile = H264_BASELINE;
		break;
	case V4L2_MPEG_VIDEO_H264_PROFILE_CONSTRAINED_BASELINE:
		format.profile = H264_CONSTRAINED_BASELINE;
		break;
	case V4L2_MPEG_VIDEO_H264_PROFILE_MAIN:
		format.profile = H264_MAIN;
		break;
	default:
		format.profile = H264_HIGH;
		break;
	}
	return format;
}

size_t controls_budget(const struct context *context)
{
	u64 bits = (u64)context->bitrate->cur.val * context->interval.numerator;

	if (settings.budget)
		return settings.budget;
	return div64_u64(bits, 8ull * context->interval.denominator);
}
