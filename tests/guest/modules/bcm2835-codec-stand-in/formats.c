// SPDX-License-Identifier: MIT OR GPL-2.0
/* The ioctls that settle what is coded: formats, frame rate, cropping, and the stream's end. */
#include <linux/kernel.h>
#include <media/v4l2-event.h>
#include <media/v4l2-ioctl.h>

#include "stand-in.h"

#define SIDE_LEAST 32
#define SIDE_MOST 1920
/* The driver takes any; this keeps a buffer's size within 32 bits. */
#define BYTESPERLINE_MOST 65536

static const struct raw_format raw_formats[] = {
	{ V4L2_PIX_FMT_YUV420, 64, PLANAR, 0, 0, 1 },
	{ V4L2_PIX_FMT_YVU420, 64, PLANAR, 0, 1, 0 },
	{ V4L2_PIX_FMT_NV12, 32, SEMI_PLANAR, 0, 0, 1 },
	{ V4L2_PIX_FMT_NV21, 32, SEMI_PLANAR, 0, 1, 0 },
	{ V4L2_PIX_FMT_YUYV, 64, PACKED, 0, 1, 3 },
	{ V4L2_PIX_FMT_UYVY, 64, PACKED, 1, 0, 2 },
	{ V4L2_PIX_FMT_YVYU, 64, PACKED, 0, 3, 1 },
	{ V4L2_PIX_FMT_VYUY, 64, PACKED, 1, 2, 0 },
};

static const struct raw_format *find_raw(u32 fourcc)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(raw_formats); i++)
		if (raw_formats[i].fourcc == fourcc)
			return &raw_formats[i];
	return NULL;
}

struct h264_picture formats_picture(const struct side *side, const u8 *base)
{
	const struct raw_format *raw = side->raw;
	size_t stride = side->bytesperline, luma_bytes = stride * side->height;
	struct h264_picture picture = {
		.luma = base + raw->luma_at,
		.luma_stride = stride,
		.luma_step = 1,
	};

	switch (raw->layout) {
	case PLANAR:
		picture.blue = base + luma_bytes + raw->blue_at * (luma_bytes / 4);
		picture.red = base + luma_bytes + raw->red_at * (luma_bytes / 4);
		picture.chroma_stride = stride / 2;
		picture.chroma_step = 1;
		break;
	case SEMI_PLANAR:
		picture.blue = base + luma_bytes + raw->blue_at;
		picture.red = base + luma_bytes + raw->red_at;
		picture.chroma_stride = stride;
		picture.chroma_step = 2;
		break;
	case PACKED:
		/* 4:2:2: the chroma of every other row is left out. */
		picture.blue = base + raw->blue_at;
		picture.red = base + raw->red_at;
		picture.luma_step = 2;
		picture.chroma_stride = 2 * stride;
		picture.chroma_step = 4;
		break;
	}
	return picture;
}

static int query_capabilities(struct file *file, void *priv, struct v4l2_capability *to)
{
	strscpy(to->driver, "bcm2835-codec", sizeof(to->driver));
	strscpy(to->card, "bcm2835-codec-encode", sizeof(to->card));
	strscpy(to->bus_info, "platform:bcm2835-codec", sizeof(to->bus_info));
	return 0;
}

static int enumerate_coded(struct file *file, void *priv, struct v4l2_fmtdesc *to)
{
	if (to->index)
		return -EINVAL;
	to->pixelformat = V4L2_PIX_FMT_H264;
	return 0;
}

static int enumerate_raw(struct file *file, void *priv, struct v4l2_fmtdesc *to)
{
	if (to->index >= ARRAY_SIZE(raw_formats))
		return -EINVAL;
	to->pixelformat = raw_formats[to->index].fourcc;
	return 0;
}

static int enumerate_sizes(struct file *file, void *priv, struct v4l2_frmsizeenum *to)
{
	if (to->index || (to->pixel_format != V4L2_PIX_FMT_H264 && !find_raw(to->pixel_format)))
		return -EINVAL;
	to->type = V4L2_FRMSIZE_TYPE_STEPWISE;
	to->stepwise = (struct v4l2_frmsize_stepwise){
		SIDE_LEAST, SIDE_MOST, 2, SIDE_LEAST, SIDE_MOST, 2,
	};
	return 0;
}

static int get_format(struct file *file, void *priv, struct v4l2_format *to)
{
	struct context *context = file_to_context(file);
	struct v4l2_pix_format_mplane *pixels = &to->fmt.pix_mp;
	const struct side *side = side_of(context, to->type);

	pixels->pixelformat = side->raw ? side->raw->fourcc : V4L2_PIX_FMT_H264;
	pixels->width = side->width;
	pixels->height = side->height;
	pixels->field = V4L2_FIELD_NONE;
	pixels->num_planes = 1;
	pixels->plane_fmt[0].bytesperline = side->bytesperline;
	pixels->plane_fmt[0].sizeimage = side->sizeimage;
	pixels->colorspace = context->colorspace;
	pixels->ycbcr_enc = context->encoding;
	pixels->quantization = context->quantization;
	pixels->xfer_func = context->transfer;
	return 0;
}

/* Sizes are clamped but neither made even nor aligned; that is done to rows alone. */
static int try_raw(struct file *file, void *priv, struct v4l2_format *asked)
{
	struct v4l2_pix_format_mplane *pixels = &asked->fmt.pix_mp;
	struct v4l2_plane_pix_format *plane = &pixels->plane_fmt[0];
	const struct raw_format *raw = find_raw(pixels->pixelformat) ?: &raw_formats[0];
	unsigned int least;

	pixels->pixelformat = raw->fourcc;
	pixels->width = clamp_t(u32, pixels->width, SIDE_LEAST, SIDE_MOST);
	pixels->height = clamp_t(u32, pixels->height, SIDE_LEAST, SIDE_MOST);
	pixels->field = V4L2_FIELD_NONE;
	pixels->num_planes = 1;
	least = raw->layout == PACKED ? 2 * pixels->width : pixels->width;
	plane->bytesperline = clamp_t(u32, plane->bytesperline, least, BYTESPERLINE_MOST);
	plane->bytesperline = ALIGN(plane->bytesperline, raw->align);
	plane->sizeimage = plane->bytesperline * pixels->height;
	if (raw->layout != PACKED)
		plane->sizeimage = plane->sizeimage * 3 / 2;
	if (!pixels->colorspace)
		pixels->colorspace = file_to_context(file)->colorspace;
	return 0;
}

/* The client may ask for larger buffers, but the default goes by this queue's own size. */
static int try_coded(struct file *file, void *priv, struct v4l2_format *asked)
{
	struct v4l2_pix_format_mplane *pixels = &asked->fmt.pix_mp;
	struct v4l2_plane_pix_format *plane = &pixels->plane_fmt[0];
	unsigned int least;

	pixels->pixelformat = V4L2_PIX_FMT_H264;
	pixels->width = min_t(u32, pixels->width, SIDE_MOST);
	pixels->height = min_t(u32, pixels->height, SIDE_MOST);
	pixels->field = V4L2_FIELD_NONE;
	pixels->num_planes = 1;
	least = pixels->width * pixels->height > 1280 * 720 ? 768 << 10 : 512 << 10;
	plane->bytesperline = 0;
	plane->sizeimage = max_t(u32, plane->sizeimage, least);
	return 0;
}

static int settle(struct context *context, const struct v4l2_format *format)
{
	const struct v4l2_pix_format_mplane *pixels = &format->fmt.pix_mp;
	struct side *side = side_of(context, format->type);

	if (vb2_is_busy(v4l2_m2m_get_vq(context->fh.m2m_ctx, format->type)))
		return -EBUSY;
	side->raw = find_raw(pixels->pixelformat);
	side->width = pixels->width;
	side->height = pixels->height;
	side->bytesperline = pixels->plane_fmt[0].bytesperline;
	side->sizeimage = pixels->plane_fmt[0].sizeimage;
	side->crop_width = pixels->width;
	if (!side->crop_set || side->crop_height > pixels->height)
		side->crop_height = pixels->height;
	context->colorspace = pixels->colorspace;
	context->encoding = pixels->ycbcr_enc;
	context->quantization = pixels->quantization;
	context->transfer = pixels->xfer_func;
	return 0;
}

static int set_raw(struct file *file, void *priv, struct v4l2_format *asked)
{
	return try_raw(file, priv, asked) ?: settle(file_to_context(file), asked);
}

static int set_coded(struct file *file, void *priv, struct v4l2_format *asked)
{
	return try_coded(file, priv, asked) ?: settle(file_to_context(file), asked);
}

static int get_selection(struct file *file, void *priv, struct v4l2_selection *to)
{
	const struct side *side = &file_to_context(file)->raw;

	if (to->type != V4L2_BUF_TYPE_VIDEO_OUTPUT)
		return -EINVAL;
	switch (to->target) {
	case V4L2_SEL_TGT_CROP_DEFAULT:
	case V4L2_SEL_TGT_CROP_BOUNDS:
		/* Bytes where pixels are meant, as the driver has it. */
		to->r = (struct v4l2_rect){ 0, 0, side->bytesperline, side->height };
		return 0;
	case V4L2_SEL_TGT_CROP:
		to->r = (struct v4l2_rect){ 0, 0, side->crop_width, side->crop_height };
		return 0;
	}
	return -EINVAL;
}

/* Takes effect at STREAMON. */
static int set_selection(struct file *file, void *priv, struct v4l2_selection *asked)
{
	struct side *side = &file_to_context(file)->raw;

	if (asked->type != V4L2_BUF_TYPE_VIDEO_OUTPUT || asked->target != V4L2_SEL_TGT_CROP)
		return -EINVAL;
	side->crop_width = clamp_t(u32, asked->r.width, SIDE_LEAST, side->crop_width);
	side->crop_height = clamp_t(u32, asked->r.height, SIDE_LEAST, side->height);
	side->crop_set = true;
	asked->r = (struct v4l2_rect){ 0, 0, side->crop_width, side->crop_height };
	return 0;
}

static int get_rate(struct file *file, void *priv, struct v4l2_streamparm *to)
{
	if (to->type != V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE)
		return -EINVAL;
	to->parm.output.capability = V4L2_CAP_TIMEPERFRAME;
	to->parm.output.timeperframe = file_to_context(file)->interval;
	return 0;
}

static int set_rate(struct file *file, void *priv, struct v4l2_streamparm *asked)
{
	const struct v4l2_fract *interval = &asked->parm.output.timeperframe;

	if (asked->type != V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE || !interval->numerator ||
	    !interval->denominator)
		return -EINVAL;
	file_to_context(file)->interval = *interval;
	return get_rate(file, priv, asked);
}

static int subscribe(struct v4l2_fh *fh, const struct v4l2_event_subscription *to)
{
	switch (to->type) {
	case V4L2_EVENT_EOS:
		return v4l2_event_subscribe(fh, to, 2, NULL);
	case V4L2_EVENT_SOURCE_CHANGE:
		return v4l2_src_change_event_subscribe(fh, to);
	}
	return v4l2_ctrl_subscribe_event(fh, to);
}

static int try_command(struct file *file, void *priv, struct v4l2_encoder_cmd *command)
{
	command->flags = 0;
	return command->cmd == V4L2_ENC_CMD_STOP || command->cmd == V4L2_ENC_CMD_START ? 0 :
											 -EINVAL;
}

/* START does nothing on the Pi: what ended begins again with STREAMOFF and STREAMON of CAPTURE. */
static int run_command(struct file *file, void *priv, struct v4l2_encoder_cmd *command)
{
	struct context *context = file_to_context(file);
	int error = try_command(file, priv, command);

	if (!error && command->cmd == V4L2_ENC_CMD_STOP) {
		queues_end(context);
		v4l2_m2m_try_schedule(context->fh.m2m_ctx);
	}
	return error;
}

void formats_init(struct context *context)
{
	context->raw = (struct side){
		.raw = &raw_formats[0],
		.width = SIDE_LEAST,
		.height = SIDE_LEAST,
		.bytesperline = ALIGN(SIDE_LEAST, raw_formats[0].align),
		.sizeimage = ALIGN(SIDE_LEAST, raw_formats[0].align) * SIDE_LEAST * 3 / 2,
		.crop_width = SIDE_LEAST,
		.crop_height = SIDE_LEAST,
	};
	context->coded = (struct side){
		.width = SIDE_LEAST,
		.height = SIDE_LEAST,
		.sizeimage = 512 << 10,
	};
	context->colorspace = V4L2_COLORSPACE_REC709;
	context->interval = (struct v4l2_fract){ 1, 30 };
}

const struct v4l2_ioctl_ops stand_in_ioctls = {
	.vidioc_querycap = query_capabilities,
	.vidioc_enum_fmt_vid_cap = enumerate_coded,
	.vidioc_enum_fmt_vid_out = enumerate_raw,
	.vidioc_enum_framesizes = enumerate_sizes,
	.vidioc_g_fmt_vid_cap_mplane = get_format,
	.vidioc_g_fmt_vid_out_mplane = get_format,
	.vidioc_try_fmt_vid_cap_mplane = try_coded,
	.vidioc_try_fmt_vid_out_mplane = try_raw,
	.vidioc_s_fmt_vid_cap_mplane = set_coded,
	.vidioc_s_fmt_vid_out_mplane = set_raw,
	.vidioc_g_selection = get_selection,
	.vidioc_s_selection = set_selection,
	.vidioc_g_parm = get_rate,
	.vidioc_s_parm = set_rate,
	.vidioc_reqbufs = v4l2_m2m_ioctl_reqbufs,
	.vidioc_querybuf = v4l2_m2m_ioctl_querybuf,
	.vidioc_qbuf = v4l2_m2m_ioctl_qbuf,
	.vidioc_dqbuf = v4l2_m2m_ioctl_dqbuf,
	.vidioc_prepare_buf = v4l2_m2m_ioctl_prepare_buf,
	.vidioc_create_bufs = v4l2_m2m_ioctl_create_bufs,
	.vidioc_expbuf = v4l2_m2m_ioctl_expbuf,
	.vidioc_streamon = v4l2_m2m_ioctl_streamon,
	.vidioc_streamoff = v4l2_m2m_ioctl_streamoff,
	.vidioc_subscribe_event = subscribe,
	.vidioc_unsubscribe_event = v4l2_event_unsubscribe,
	.vidioc_try_encoder_cmd = try_command,
	.vidioc_encoder_cmd = run_command,
};
