/*
 * What each thread of a program runs in some seconds: the instructions of the program itself, those
 * of the kernel on its behalf, and the thread's name. The kernel counts them (perf_event_open(2));
 * QEMU's processor has them where its time passes by the instruction.
 */
#include <dirent.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS 64

struct thread {
	char name[32];
	/* Counters, and what they said at first: of the program, of the kernel. */
	int counter[2];
	long long before[2];
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static long long value(int counter)
{
	long long value;

	if (read(counter, &value, sizeof(value)) != sizeof(value))
		fail("reading a counter");
	return value;
}

static void watch(struct thread *thread, int id)
{
	for (int kernel = 0; kernel < 2; kernel++) {
		struct perf_event_attr attr = {
			.type = PERF_TYPE_HARDWARE,
			.size = sizeof(attr),
			.config = PERF_COUNT_HW_INSTRUCTIONS,
			.exclude_kernel = !kernel,
			.exclude_user = kernel,
			.exclude_hv = 1,
		};

		thread->counter[kernel] = syscall(SYS_perf_event_open, &attr, id, -1, -1, 0);
		if (thread->counter[kernel] < 0)
			fail("perf_event_open");
		thread->before[kernel] = value(thread->counter[kernel]);
	}
}

int main(int argc, char **argv)
{
	static struct thread threads[THREADS];
	int count = 0;
	char path[64];

	if (argc != 3) {
		fprintf(stderr, "usage: instructions PID SECONDS\n");
		return 2;
	}
	snprintf(path, sizeof(path), "/proc/%.20s/task", argv[1]);
	DIR *tasks = opendir(path);

	if (!tasks)
		fail(path);
	for (struct dirent *task; count < THREADS && (task = readdir(tasks));) {
		int id = atoi(task->d_name);

		snprintf(path, sizeof(path), "/proc/%d/comm", id);
		FILE *comm = id ? fopen(path, "r") : NULL;

		if (!comm)
			continue;
		if (!fgets(threads[count].name, sizeof(threads[count].name), comm))
			fail(path);
		fclose(comm);
		threads[count].name[strcspn(threads[count].name, "\n")] = 0;
		watch(&threads[count++], id);
	}
	sleep(atoi(argv[2]));
	for (struct thread *thread = threads; thread < threads + count; thread++)
		printf("%lld %lld %s\n", value(thread->counter[0]) - thread->before[0],
		       value(thread->counter[1]) - thread->before[1], thread->name);
	return 0;
}
