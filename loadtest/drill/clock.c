/* A wall clock of a stack's own, for drills: the machine's, and as many seconds off as the file
 * $MILLRACE_DRILL_CLOCK says, one signed 64-bit number that may change at any time.
 *
 * Preloaded into every process of the stack (LD_PRELOAD). What is monotonic is left alone, as a step of a real
 * clock leaves it alone. Waits until a moment of the wall clock are translated back for the kernel.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

/* Monotonic moments are seconds since the start of the machine, thirty years at most. */
enum { FIRST_OF_THE_WALL_CLOCK = 1000000000 };

static const volatile int64_t *file;

__attribute__((constructor)) static void open_clock(void)
{
    const char *path = getenv("MILLRACE_DRILL_CLOCK");
    int descriptor = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (descriptor < 0)
        return;
    void *mapped = mmap(NULL, sizeof *file, PROT_READ, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (mapped != MAP_FAILED)
        file = mapped;
}

static int64_t seconds_off(void) { return file ? *file : 0; }

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += seconds_off();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec exact;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact))
        return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

int timespec_get(struct timespec *now, int base)
{
    return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, now) ? base : 0;
}

time_t time(time_t *now)
{
    struct timespec exact = {0};
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now)
        *now = exact.tv_sec;
    return exact.tv_sec;
}

static struct timespec of_the_machine(const struct timespec *until)
{
    struct timespec moment = *until;
    if (moment.tv_sec > FIRST_OF_THE_WALL_CLOCK)
        moment.tv_sec -= seconds_off();
    return moment;
}

int pthread_cond_timedwait(pthread_cond_t *restrict met, pthread_mutex_t *restrict held,
                           const struct timespec *restrict until)
{
    static int (*wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    struct timespec moment = of_the_machine(until);
    if (!wait) /* by version: where there are two, the plain name gives that of 1997, which has another layout */
        wait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!wait)
        wait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    return wait(met, held, &moment);
}

int cnd_timedwait(cnd_t *restrict met, mtx_t *restrict held, const struct timespec *restrict until)
{
    static int (*wait)(cnd_t *, mtx_t *, const struct timespec *);
    struct timespec moment = of_the_machine(until);
    if (!wait)
        wait = dlsym(RTLD_NEXT, "cnd_timedwait");
    return wait(met, held, &moment);
}

int sem_timedwait(sem_t *restrict free, const struct timespec *restrict until)
{
    static int (*wait)(sem_t *, const struct timespec *);
    struct timespec moment = of_the_machine(until);
    if (!wait)
        wait = dlsym(RTLD_NEXT, "sem_timedwait");
    return wait(free, &moment);
}
