#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    SILENCE_SECONDS = 10,
    EVENTS_AT_ONCE = 64,
};

void prepare_run(struct run *run)
{
    raise_descriptor_limit();
    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (run->epoll < 0)
        fail("epoll_create1: %s", strerror(errno));
}

uint32_t first_requests(const struct run *run)
{
    return run->options.idle ? 1 : run->options.outstanding;
}

static int wait_for_events(const struct run *run, struct epoll_event *events, int milliseconds)
{
    int count = epoll_wait(run->epoll, events, EVENTS_AT_ONCE, milliseconds);
    if (count < 0 && errno != EINTR)
        fail("epoll_wait: %s", strerror(errno));
    return count;
}

static void handle_event(const struct epoll_event *event, input_handler *handle_input)
{
    struct stream *stream = event->data.ptr;
    if (event->events & EPOLLOUT)
        stream_flush(stream);
    if (event->events & ~(uint32_t)EPOLLOUT)
        handle_input(stream);
}

/* ---- idle --------------------------------------------------------------------------- */

static void watch_stdin(const struct run *run)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
        fail("--idle waits for the end of stdin, which must be a pipe or a terminal (%s)", strerror(errno));
}

static bool stdin_ended(void)
{
    char ignored[256];
    ssize_t count = read(STDIN_FILENO, ignored, sizeof ignored);
    return count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN);
}

static void hold_connections(const struct run *run, input_handler *handle_input)
{
    watch_stdin(run);
    printf("{\"idle\": %" PRIu32 "}\n", run->options.connections);
    fflush(stdout);
    for (bool ended = false; !ended;) {
        struct epoll_event events[EVENTS_AT_ONCE];
        int count = wait_for_events(run, events, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                handle_event(&events[i], handle_input);
            else
                ended = stdin_ended();
        }
    }
}

/* ---- the run ------------------------------------------------------------------------ */

void run_load(struct run *run, input_handler *handle_input)
{
    while (run->measurement.phase != DRAINING || run->under_way) {
        struct epoll_event events[EVENTS_AT_ONCE];
        int count = wait_for_events(run, events, SILENCE_SECONDS * 1000);
        if (count == 0)
            fail("the server was silent for %d s", SILENCE_SECONDS);
        advance_phase(&run->measurement, now_ns());
        for (int i = 0; i < count; i++)
            handle_event(&events[i], handle_input);
    }
    if (run->options.idle)
        hold_connections(run, handle_input);
}

void report_run(const struct run *run)
{
    if (!run->options.idle)
        print_report(&run->measurement, &run->options);
}
