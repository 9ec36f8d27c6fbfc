/*
 * The least that has to be done to encode a camera's frames without a copy: a camera's buffers,
 * exported as DMABUFs, are queued to a memory-to-memory encoder and go back to the camera when the
 * encoder has released them. Picket's encoder room is measured against this loop.
 *
 * usage: bare-loop CAMERA ENCODER WIDTH HEIGHT FPS FRAMES
 *
 * Prints how many frames went in and came out, how often the loop woke, and the processor time per
 * frame. Time in the kernel is given apart: vicodec encodes inside the caller's QBUF and DQBUF.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { BUFFERS = 4 };

#define CAMERA V4L2_BUF_TYPE_VIDEO_CAPTURE
#define RAW V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE
#define CODED V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE

static void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void call(int fd, unsigned long request, void *argument, const char *what)
{
	if (ioctl(fd, request, argument) < 0)
		fail(what);
}

static void request_buffers(int fd, unsigned int type, unsigned int memory)
{
	struct v4l2_requestbuffers request = { .count = BUFFERS, .type = type, .memory = memory };

	call(fd, VIDIOC_REQBUFS, &request, "REQBUFS");
	if (request.count != BUFFERS) {
		fprintf(stderr, "%u buffers in place of %d\n", request.count, BUFFERS);
		exit(1);
	}
}

static void stream_on(int fd, int type)
{
	call(fd, VIDIOC_STREAMON, &type, "STREAMON");
}

static void camera_setup(int fd, unsigned int width, unsigned int height, unsigned int fps,
			 int exported[BUFFERS])
{
	struct v4l2_format format = { .type = CAMERA };
	struct v4l2_streamparm rate = { .type = CAMERA };

	format.fmt.pix.width = width;
	format.fmt.pix.height = height;
	format.fmt.pix.pixelformat = V4L2_PIX_FMT_NV12;
	call(fd, VIDIOC_S_FMT, &format, "camera S_FMT");
	rate.parm.capture.timeperframe.numerator = 1;
	rate.parm.capture.timeperframe.denominator = fps;
	call(fd, VIDIOC_S_PARM, &rate, "camera S_PARM");
	request_buffers(fd, CAMERA, V4L2_MEMORY_MMAP);
	for (int i = 0; i < BUFFERS; i++) {
		struct v4l2_exportbuffer export = { .type = CAMERA, .index = i, .flags = O_RDWR };

		call(fd, VIDIOC_EXPBUF, &export, "EXPBUF");
		exported[i] = export.fd;
	}
}

static void encoder_setup(int fd, unsigned int width, unsigned int height)
{
	struct v4l2_format format = { .type = RAW };
	struct v4l2_event_subscription end = { .type = V4L2_EVENT_EOS };

	format.fmt.pix_mp.width = width;
	format.fmt.pix_mp.height = height;
	format.fmt.pix_mp.pixelformat = V4L2_PIX_FMT_NV12;
	format.fmt.pix_mp.num_planes = 1;
	call(fd, VIDIOC_S_FMT, &format, "encoder S_FMT");
	call(fd, VIDIOC_SUBSCRIBE_EVENT, &end, "SUBSCRIBE_EVENT");
	request_buffers(fd, RAW, V4L2_MEMORY_DMABUF);
	request_buffers(fd, CODED, V4L2_MEMORY_MMAP);
}

static void queue_camera(int fd, int index)
{
	struct v4l2_buffer buffer = { .type = CAMERA, .memory = V4L2_MEMORY_MMAP, .index = index };

	call(fd, VIDIOC_QBUF, &buffer, "camera QBUF");
}

static void queue_coded(int fd, int index)
{
	struct v4l2_plane plane = { 0 };
	struct v4l2_buffer buffer = { .type = CODED, .memory = V4L2_MEMORY_MMAP, .index = index,
				      .m.planes = &plane, .length = 1 };

	call(fd, VIDIOC_QBUF, &buffer, "coded QBUF");
}

static long long per_frame(struct timeval from, struct timeval to, unsigned int frames)
{
	return ((to.tv_sec - from.tv_sec) * 1000000LL + to.tv_usec - from.tv_usec) / frames;
}

int main(int argc, char **argv)
{
	int exported[BUFFERS];
	unsigned int in = 0, out = 0, wakeups = 0, last = 0;
	unsigned long long bytes = 0;
	struct rusage before, after;

	if (argc != 7) {
		fprintf(stderr, "usage: bare-loop CAMERA ENCODER WIDTH HEIGHT FPS FRAMES\n");
		return 2;
	}
	int camera = open(argv[1], O_RDWR | O_NONBLOCK);
	int encoder = open(argv[2], O_RDWR | O_NONBLOCK);
	unsigned int width = atoi(argv[3]), height = atoi(argv[4]), frames = atoi(argv[6]);

	if (camera < 0 || encoder < 0)
		fail("open");
	camera_setup(camera, width, height, atoi(argv[5]), exported);
	encoder_setup(encoder, width, height);
	for (int i = 0; i < BUFFERS; i++) {
		queue_coded(encoder, i);
		queue_camera(camera, i);
	}
	stream_on(encoder, RAW);
	stream_on(encoder, CODED);
	stream_on(camera, CAMERA);

	getrusage(RUSAGE_SELF, &before);
	while (!last) {
		struct pollfd ready[2] = {
			/* Once enough frames are on their way, only the encoder is waited for. */
			{ .fd = in < frames ? camera : -1, .events = POLLIN },
			{ .fd = encoder, .events = POLLIN | (in > 0 ? POLLOUT : 0) },
		};
		struct v4l2_plane plane = { 0 };
		struct v4l2_buffer buffer;

		if (poll(ready, 2, 10000) <= 0) {
			fprintf(stderr, "nothing moved for ten seconds: %u in, %u out\n", in, out);
			return 1;
		}
		wakeups++;
		if (ready[0].revents & POLLIN) {
			buffer = (struct v4l2_buffer){ .type = CAMERA, .memory = V4L2_MEMORY_MMAP };
			call(camera, VIDIOC_DQBUF, &buffer, "camera DQBUF");
			unsigned int length = buffer.length, used = buffer.bytesused;
			struct timeval taken = buffer.timestamp;
			int index = buffer.index;

			plane = (struct v4l2_plane){ .m.fd = exported[index], .bytesused = used,
						     .length = length };
			buffer = (struct v4l2_buffer){ .type = RAW, .memory = V4L2_MEMORY_DMABUF,
						       .index = index, .timestamp = taken,
						       .m.planes = &plane, .length = 1 };
			call(encoder, VIDIOC_QBUF, &buffer, "raw QBUF");
			if (++in == frames) {
				struct v4l2_encoder_cmd stop = { .cmd = V4L2_ENC_CMD_STOP };

				call(encoder, VIDIOC_ENCODER_CMD, &stop, "ENCODER_CMD");
			}
		}
		if (ready[1].revents & POLLOUT) {
			buffer = (struct v4l2_buffer){ .type = RAW, .memory = V4L2_MEMORY_DMABUF,
						       .m.planes = &plane, .length = 1 };
			if (!ioctl(encoder, VIDIOC_DQBUF, &buffer))
				queue_camera(camera, buffer.index);
			else if (errno != EAGAIN)
				fail("raw DQBUF");
		}
		if (ready[1].revents & POLLIN) {
			buffer = (struct v4l2_buffer){ .type = CODED, .memory = V4L2_MEMORY_MMAP,
						       .m.planes = &plane, .length = 1 };
			call(encoder, VIDIOC_DQBUF, &buffer, "coded DQBUF");
			/* The last buffer may be an empty one that only says so. */
			out += plane.bytesused > 0;
			bytes += plane.bytesused;
			last = buffer.flags & V4L2_BUF_FLAG_LAST;
			if (!last)
				queue_coded(encoder, buffer.index);
		}
	}
	getrusage(RUSAGE_SELF, &after);

	printf("%u in, %u out, %llu bytes, %u wake-ups; per frame %lld us in the program, %lld us in the kernel\n",
	       in, out, bytes, wakeups, per_frame(before.ru_utime, after.ru_utime, in),
	       per_frame(before.ru_stime, after.ru_stime, in));
	return in != out;
}
