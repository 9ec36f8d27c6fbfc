// SPDX-License-Identifier: MIT OR GPL-2.0
/* The module: its parameters, the device and who has it open. */
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <media/v4l2-event.h>
#include <media/v4l2-ioctl.h>

#include "stand-in.h"

struct settings settings = { .contiguous = true };
struct counters counters;

#define SETTING(name, kind, mode, text)                         \
	module_param_named(name, settings.name, kind, mode);    \
	MODULE_PARM_DESC(name, text)
#define COUNTER(name, text)                                     \
	module_param_named(name, counters.name, uint, 0444);    \
	MODULE_PARM_DESC(name, text)

static int encode_video_nr = 11;
module_param(encode_video_nr, int, 0444);
MODULE_PARM_DESC(encode_video_nr, "number of the video node");

SETTING(contiguous, bool, 0444, "import only physically contiguous buffers, as the Pi does");
SETTING(budget, uint, 0644, "bytes for a picture that is not a key; 0: bitrate / frame rate");
SETTING(key_budget, uint, 0644,
	"bytes above which a key frame is sent as flat macroblocks; 0: always exact");
SETTING(skip_every, uint, 0644, "every so many raw buffers one yields no picture; 0: never");
SETTING(error_every, uint, 0644,
	"every so many pictures a buffer is flagged as an error, empty; 0: never");
SETTING(delay_ms, uint, 0644, "milliseconds that a coded buffer takes");
SETTING(stick_after, uint, 0644,
	"pictures with headers after which no buffer returns until STREAMOFF; 0: never");
COUNTER(open_contexts, "file handles open now");
COUNTER(pictures, "pictures coded since loading");
COUNTER(keys, "key frames among them");
COUNTER(skipped, "raw buffers that yielded no picture");
COUNTER(errors, "buffers flagged as an error");

static int set_stick(const char *text, const struct kernel_param *parameter)
{
	settings.sticks++;
	return 0;
}

static const struct kernel_param_ops stick_ops = {
	.set = set_stick,
	.get = param_get_uint,
};

module_param_cb(stick, &stick_ops, &settings.sticks, 0644);
MODULE_PARM_DESC(stick, "any write: no buffer returns any more until STREAMOFF");

static struct stand_in device;

static int open_context(struct file *file)
{
	struct context *context = kzalloc(sizeof(*context), GFP_KERNEL);
	int error;

	if (!context)
		return -ENOMEM;
	context->device = &device;
	INIT_WORK(&context->work, queues_work);
	init_waitqueue_head(&context->abort_wait);
	spin_lock_init(&context->end_lock);
	formats_init(context);
	v4l2_fh_init(&context->fh, &device.node);
	error = controls_init(context);
	if (error)
		goto free;
	context->fh.m2m_ctx = v4l2_m2m_ctx_init(device.m2m, context, queues_init);
	if (IS_ERR(context->fh.m2m_ctx)) {
		error = PTR_ERR(context->fh.m2m_ctx);
		goto free;
	}
	/* A large picture's second buffer and the stream's end need no raw buffer: see job_ready(). */
	v4l2_m2m_set_src_buffered(context->fh.m2m_ctx, true);
	file->private_data = &context->fh;
	v4l2_fh_add(&context->fh);

	mutex_lock(&device.mutex);
	counters.open_contexts++;
	mutex_unlock(&device.mutex);
	return 0;
free:
	v4l2_ctrl_handler_free(&context->controls);
	v4l2_fh_exit(&context->fh);
	kfree(context);
	return error;
}

static int release_context(struct file *file)
{
	struct context *context = file_to_context(file);

	mutex_lock(&device.mutex);
	v4l2_m2m_ctx_release(context->fh.m2m_ctx);
	counters.open_contexts--;
	mutex_unlock(&device.mutex);
	v4l2_fh_del(&context->fh);
	v4l2_fh_exit(&context->fh);
	v4l2_ctrl_handler_free(&context->controls);
	kfree(context);
	return 0;
}

static const struct v4l2_file_operations file_ops = {
	.owner = THIS_MODULE,
	.open = open_context,
	.release = release_context,
	.poll = v4l2_m2m_fop_poll,
	.unlocked_ioctl = video_ioctl2,
	.mmap = v4l2_m2m_fop_mmap,
};

static struct stand_in device = {
	.mutex = __MUTEX_INITIALIZER(device.mutex),
	.v4l2 = { .name = "bcm2835-codec" },
	.node = {
		.name = "bcm2835-codec-encode",
		.vfl_dir = VFL_DIR_M2M,
		.fops = &file_ops,
		.ioctl_ops = &stand_in_ioctls,
		.minor = -1,
		.release = video_device_release_empty,
		.device_caps = V4L2_CAP_VIDEO_M2M_MPLANE | V4L2_CAP_STREAMING,
		.lock = &device.mutex,
		.v4l2_dev = &device.v4l2,
	},
};

static int __init load(void)
{
	int error;

	device.platform = platform_device_register_simple("bcm2835-codec", PLATFORM_DEVID_NONE,
							  NULL, 0);
	if (IS_ERR(device.platform))
		return PTR_ERR(device.platform);
	error = dma_coerce_mask_and_coherent(&device.platform->dev, DMA_BIT_MASK(32));
	if (error)
		goto unregister_platform;
	error = v4l2_device_register(&device.platform->dev, &device.v4l2);
	if (error)
		goto unregister_platform;
	device.coding = alloc_ordered_workqueue("bcm2835-codec", 0);
	if (!device.coding) {
		error = -ENOMEM;
		goto unregister_v4l2;
	}
	device.m2m = v4l2_m2m_init(&stand_in_m2m);
	if (IS_ERR(device.m2m)) {
		error = PTR_ERR(device.m2m);
		goto destroy_workqueue;
	}
	error = video_register_device(&device.node, VFL_TYPE_VIDEO, encode_video_nr);
	if (error)
		goto release_m2m;
	v4l2_info(&device.v4l2, "stand-in for the encoder at /dev/video%d\n", device.node.num);
	return 0;
release_m2m:
	v4l2_m2m_release(device.m2m);
destroy_workqueue:
	destroy_workqueue(device.coding);
unregister_v4l2:
	v4l2_device_unregister(&device.v4l2);
unregister_platform:
	platform_device_unregister(device.platform);
	return error;
}

static void __exit unload(void)
{
	video_unregister_device(&device.node);
	v4l2_m2m_release(device.m2m);
	destroy_workqueue(device.coding);
	v4l2_device_unregister(&device.v4l2);
	platform_device_unregister(device.platform);
}

module_init(load);
module_exit(unload);
MODULE_DESCRIPTION("Stand-in for the Raspberry Pi's H.264 encoder node");
MODULE_LICENSE("Dual MIT/GPL");
