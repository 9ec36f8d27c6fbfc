/*
 * What libcamera's virtual cameras want and few machines have, for tests: a device that makes
 * DMABUFs (here memfds stand in for them), and their configuration where it looks for it (here the
 * file named by PICKET_VIRTUAL_YAML). It says which tuning file is in the environment at that moment,
 * which virtual cameras have no use for. To be put in LD_PRELOAD by scripts/test-libcamera.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/udmabuf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *meant(const char *path)
{
	static const char wanted[] = "/pipeline/virtual/virtual.yaml";
	const char *ours = getenv("PICKET_VIRTUAL_YAML");
	size_t length = strlen(path), end = sizeof(wanted) - 1;

	return ours && length > end && !strcmp(path + length - end, wanted) ? ours : path;
}

int open64(const char *path, int flags, ...)
{
	va_list more;
	mode_t mode = 0;

	if (flags & (O_CREAT | __O_TMPFILE)) {
		va_start(more, flags);
		mode = va_arg(more, mode_t);
		va_end(more);
	}
	if (!strcmp(path, "/dev/udmabuf")) {
		const char *tuning = getenv("LIBCAMERA_RPI_TUNING_FILE");

		if (tuning)
			dprintf(2, "libcamera begins with the tuning file %s\n", tuning);
		return memfd_create("udmabuf", MFD_CLOEXEC);
	}
	return syscall(SYS_openat, AT_FDCWD, meant(path), flags, mode);
}

int open(const char *path, int flags, ...) __attribute__((alias("open64")));

int stat64(const char *path, struct stat64 *status)
{
	return fstatat64(AT_FDCWD, meant(path), status, 0);
}

int stat(const char *path, struct stat *status)
{
	return fstatat(AT_FDCWD, meant(path), status, 0);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list more;
	va_start(more, request);
	void *argument = va_arg(more, void *);
	va_end(more);

	if (request == UDMABUF_CREATE)
		return fcntl(((struct udmabuf_create *)argument)->memfd, F_DUPFD_CLOEXEC, 0);
	return syscall(SYS_ioctl, fd, request, argument);
}
