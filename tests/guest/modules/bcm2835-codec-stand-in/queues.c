// SPDX-License-Identifier: MIT OR GPL-2.0
/* From raw buffers to coded ones: the queues, and the work that codes one picture at a time. */
#include <linux/vmalloc.h>
#include <media/v4l2-event.h>
#include <media/videobuf2-dma-contig.h>
#include <media/videobuf2-vmalloc.h>

#include "stand-in.h"

/* The firmware's status for an invalid value; the driver returns it from STREAMON as it is. */
#define REFUSED_BY_FIRMWARE (-3)

void queues_end(struct context *context)
{
	unsigned long flags;

	spin_lock_irqsave(&context->end_lock, flags);
	context->end_at = context->queued;
	context->ending = true;
	spin_unlock_irqrestore(&context->end_lock, flags);
}

static bool end_is_due(struct context *context)
{
	unsigned long flags;
	bool due;

	spin_lock_irqsave(&context->end_lock, flags);
	due = context->ending && context->taken == context->end_at;
	spin_unlock_irqrestore(&context->end_lock, flags);
	return due;
}

static bool is_stuck(const struct context *context)
{
	return context->stuck || context->sticks_seen != READ_ONCE(settings.sticks);
}

static bool unit_waits(const struct context *context)
{
	return context->unit.sent < context->unit.length || context->unit.failed;
}

/* Called with interrupts off. */
static int job_ready(void *priv)
{
	struct context *context = priv;

	if (is_stuck(context) || !v4l2_m2m_num_dst_bufs_ready(context->fh.m2m_ctx))
		return 0;
	return unit_waits(context) || end_is_due(context) ||
	       v4l2_m2m_num_src_bufs_ready(context->fh.m2m_ctx);
}

static void job_run(void *priv)
{
	struct context *context = priv;

	WRITE_ONCE(context->aborting, false);
	queue_work(context->device->coding, &context->work);
}

static void job_abort(void *priv)
{
	struct context *context = priv;

	WRITE_ONCE(context->aborting, true);
	wake_up(&context->abort_wait);
}

const struct v4l2_m2m_ops stand_in_m2m = {
	.device_run = job_run,
	.job_ready = job_ready,
	.job_abort = job_abort,
};

static bool key_is_due(struct context *context)
{
	unsigned int period = context->gop_size->cur.val;
	bool forced = xchg(&context->force_key, false);

	return forced || !context->started || (period && context->since_key >= period);
}

/* Codes the picture at `base` into the access unit. */
static void code(struct context *context, const u8 *base)
{
	struct h264_picture picture = formats_picture(&context->raw, base);
	struct h264_coder *coder = &context->coder;
	struct access_unit *unit = &context->unit;
	size_t exact = (size_t)coder->columns * coder->rows * MACROBLOCK_BYTES;
	enum h264_key kind = settings.key_budget && exact > settings.key_budget ? H264_KEY_FLAT :
										 H264_KEY_EXACT;

	unit->key = key_is_due(context);
	unit->length = 0;
	unit->sent = 0;
	unit->headers_alone = 0;
	if (!unit->key) {
		unit->length = h264_next_picture(coder, &picture, controls_budget(context),
						 unit->data, unit->room);
		context->since_key++;
		return;
	}
	if (!context->started || context->repeat) {
		unit->length = h264_headers(coder, unit->data, unit->room);
		context->with_headers++;
		if (context->header_mode->cur.val == V4L2_MPEG_VIDEO_HEADER_MODE_SEPARATE)
			unit->headers_alone = unit->length;
	}
	unit->length += h264_key_frame(coder, &picture, kind, unit->data + unit->length,
					 unit->room - unit->length);
	context->started = true;
	context->since_key = 1;
	counters.keys++;
}

static bool every(unsigned int period, unsigned int count)
{
	return period && count % period == 0;
}

/* Takes one raw buffer; afterwards an access unit waits, unless the picture was skipped. */
static void take(struct context *context)
{
	struct vb2_v4l2_buffer *raw = v4l2_m2m_src_buf_remove(context->fh.m2m_ctx);
	unsigned long flags;

	if (!raw)
		return;
	spin_lock_irqsave(&context->end_lock, flags);
	context->taken++;
	spin_unlock_irqrestore(&context->end_lock, flags);

	if (every(READ_ONCE(settings.skip_every), ++context->offered)) {
		counters.skipped++;
	} else {
		code(context, vb2_plane_vaddr(&raw->vb2_buf, 0));
		/* The firmware counts in microseconds. */
		context->unit.timestamp = div_u64(raw->vb2_buf.timestamp, 1000) * 1000;
		context->unit.failed = every(READ_ONCE(settings.error_every),
					     ++context->coded_pictures);
		counters.pictures++;
	}
	v4l2_m2m_buf_done(raw, VB2_BUF_STATE_DONE);
}

/*
 * Fills one CAPTURE buffer. An access unit that is larger goes on in the next one, and nothing but
 * the timestamp tells: all but the first piece have none, which the driver turns into 0. Headers in
 * a buffer of their own have none either.
 */
static void deliver(struct context *context, struct vb2_v4l2_buffer *coded)
{
	struct access_unit *unit = &context->unit;
	size_t length = unit->length - unit->sent;
	bool headers = unit->sent < unit->headers_alone;

	if (unit->failed) {
		unit->failed = false;
		unit->sent = unit->length;
		coded->vb2_buf.timestamp = unit->timestamp;
		vb2_set_plane_payload(&coded->vb2_buf, 0, 0);
		counters.errors++;
		v4l2_m2m_buf_done(coded, VB2_BUF_STATE_ERROR);
		return;
	}
	if (headers)
		length = unit->headers_alone - unit->sent;
	length = min_t(size_t, length, vb2_plane_size(&coded->vb2_buf, 0));
	memcpy(vb2_plane_vaddr(&coded->vb2_buf, 0), unit->data + unit->sent, length);
	vb2_set_plane_payload(&coded->vb2_buf, 0, length);
	coded->vb2_buf.timestamp = unit->sent == unit->headers_alone ? unit->timestamp : 0;
	if (unit->key && !headers)
		coded->flags |= V4L2_BUF_FLAG_KEYFRAME;
	unit->sent += length;
	v4l2_m2m_buf_done(coded, VB2_BUF_STATE_DONE);
}

static void deliver_end(struct context *context, struct vb2_v4l2_buffer *coded)
{
	static const struct v4l2_event end = { .type = V4L2_EVENT_EOS };
	unsigned long flags;

	spin_lock_irqsave(&context->end_lock, flags);
	context->ending = false;
	spin_unlock_irqrestore(&context->end_lock, flags);
	coded->flags |= V4L2_BUF_FLAG_LAST;
	coded->vb2_buf.timestamp = 0;
	vb2_set_plane_payload(&coded->vb2_buf, 0, 0);
	v4l2_event_queue_fh(&context->fh, &end);
	v4l2_m2m_buf_done(coded, VB2_BUF_STATE_DONE);
}

static void step(struct context *context)
{
	struct v4l2_m2m_ctx *m2m = context->fh.m2m_ctx;
	struct vb2_v4l2_buffer *coded;
	unsigned int stick_after = READ_ONCE(settings.stick_after);

	if (!unit_waits(context) && !end_is_due(context)) {
		take(context);
		if (!unit_waits(context))
			return;
	}
	coded = v4l2_m2m_dst_buf_remove(m2m);
	if (!coded)
		return;
	coded->field = V4L2_FIELD_NONE;
	coded->flags &= ~(V4L2_BUF_FLAG_KEYFRAME | V4L2_BUF_FLAG_LAST);
	if (unit_waits(context))
		deliver(context, coded);
	else
		deliver_end(context, coded);
	/* A period of 1 stops the Pi's encoder after its first picture (linux#4740). */
	if (!unit_waits(context) &&
	    ((stick_after && context->with_headers >= stick_after) ||
	     (context->started && context->gop_size->cur.val == 1)))
		context->stuck = true;
}

void queues_work(struct work_struct *work)
{
	struct context *context = container_of(work, struct context, work);
	unsigned int delay = READ_ONCE(settings.delay_ms);

	if (delay)
		wait_event_timeout(context->abort_wait, READ_ONCE(context->aborting),
				   msecs_to_jiffies(delay));
	if (!READ_ONCE(context->aborting))
		step(context);
	v4l2_m2m_job_finish(context->device->m2m, context->fh.m2m_ctx);
}

static int queue_setup(struct vb2_queue *queue, unsigned int *buffers, unsigned int *planes,
		       unsigned int sizes[], struct device *devices[])
{
	unsigned int size = side_of(vb2_get_drv_priv(queue), queue->type)->sizeimage;

	if (*planes)
		return *planes != 1 || sizes[0] < size ? -EINVAL : 0;
	*planes = 1;
	sizes[0] = size;
	return 0;
}

static int buffer_prepare(struct vb2_buffer *buffer)
{
	struct vb2_queue *queue = buffer->vb2_queue;
	unsigned int size = side_of(vb2_get_drv_priv(queue), queue->type)->sizeimage;

	if (vb2_plane_size(buffer, 0) < size)
		return -EINVAL;
	/* The Pi's firmware sees every import; here it must be mapped for this processor. */
	if (!vb2_plane_vaddr(buffer, 0))
		return -EFAULT;
	if (V4L2_TYPE_IS_OUTPUT(queue->type))
		to_vb2_v4l2_buffer(buffer)->field = V4L2_FIELD_NONE;
	else
		vb2_set_plane_payload(buffer, 0, size);
	return 0;
}

static void buffer_queue(struct vb2_buffer *buffer)
{
	struct context *context = vb2_get_drv_priv(buffer->vb2_queue);
	struct vb2_v4l2_buffer *v4l2 = to_vb2_v4l2_buffer(buffer);
	unsigned long flags;

	if (V4L2_TYPE_IS_OUTPUT(buffer->vb2_queue->type)) {
		spin_lock_irqsave(&context->end_lock, flags);
		context->queued++;
		spin_unlock_irqrestore(&context->end_lock, flags);
		if (v4l2->flags & V4L2_BUF_FLAG_LAST)
			queues_end(context);
	}
	v4l2_m2m_buf_queue(context->fh.m2m_ctx, v4l2);
}

/* Gives back what is queued and forgets the stream. No work runs meanwhile. */
static void stop(struct vb2_queue *queue)
{
	struct context *context = vb2_get_drv_priv(queue);
	bool output = V4L2_TYPE_IS_OUTPUT(queue->type);
	struct vb2_v4l2_buffer *buffer;

	for (;;) {
		buffer = output ? v4l2_m2m_src_buf_remove(context->fh.m2m_ctx) :
				  v4l2_m2m_dst_buf_remove(context->fh.m2m_ctx);
		if (!buffer)
			break;
		v4l2_m2m_buf_done(buffer, VB2_BUF_STATE_QUEUED);
	}
	context->unit.length = 0;
	context->unit.sent = 0;
	context->unit.failed = false;
	context->ending = false;
	if (!output)
		return;
	context->queued = 0;
	context->taken = 0;
	vfree(context->memory);
	vfree(context->unit.data);
	context->memory = NULL;
	context->unit.data = NULL;
}

/* The firmware checks size and rate against the level before it starts (linux#3467, #3974). */
static int start_coder(struct context *context)
{
	struct h264_format format = controls_format(context);

	if (!h264_level_allows(&format))
		return REFUSED_BY_FIRMWARE;
	context->unit.room = h264_worst_case(format.width, format.height);
	context->unit.data = vmalloc(context->unit.room);
	context->memory = vmalloc(h264_memory(format.width, format.height));
	if (!context->unit.data || !context->memory)
		return -ENOMEM;
	h264_begin(&context->coder, &format, context->memory);
	return 0;
}

static int start(struct vb2_queue *queue, unsigned int count)
{
	struct context *context = vb2_get_drv_priv(queue);
	int error = 0;

	/*
	 * Either queue's start begins a stream afresh, with headers and a key frame. No work
	 * runs before both have started.
	 */
	context->started = false;
	context->repeat = context->repeat_headers->cur.val;
	context->offered = 0;
	context->coded_pictures = 0;
	context->with_headers = 0;
	context->stuck = false;
	context->sticks_seen = READ_ONCE(settings.sticks);
	if (V4L2_TYPE_IS_OUTPUT(queue->type))
		error = start_coder(context);
	if (error)
		stop(queue);
	return error;
}

static const struct vb2_ops queue_ops = {
	.queue_setup = queue_setup,
	.buf_prepare = buffer_prepare,
	.buf_queue = buffer_queue,
	.start_streaming = start,
	.stop_streaming = stop,
	.wait_prepare = vb2_ops_wait_prepare,
	.wait_finish = vb2_ops_wait_finish,
};

static int queue_init(struct context *context, struct vb2_queue *queue, enum v4l2_buf_type type)
{
	queue->type = type;
	queue->io_modes = VB2_MMAP | VB2_DMABUF;
	queue->drv_priv = context;
	queue->buf_struct_size = sizeof(struct v4l2_m2m_buffer);
	queue->ops = &queue_ops;
	queue->mem_ops = settings.contiguous ? &vb2_dma_contig_memops : &vb2_vmalloc_memops;
	queue->dev = &context->device->platform->dev;
	queue->timestamp_flags = V4L2_BUF_FLAG_TIMESTAMP_COPY;
	queue->lock = &context->device->mutex;
	return vb2_queue_init(queue);
}

int queues_init(void *context, struct vb2_queue *raw, struct vb2_queue *coded)
{
	return queue_init(context, raw, V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE) ?:
	       queue_init(context, coded, V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE);
}
