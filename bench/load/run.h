/*
 * The one thread of a load generator. Its connections were made before, one after the other and
 * with blocking calls: making them is not what is measured. Each has its first requests under
 * way when the run starts, and its handler asks for more as replies come (a closed loop).
 */
#ifndef RUN_H
#define RUN_H

#include "measure.h"
#include "stream.h"

#include <stdint.h>

struct run {
    struct options options;
    struct measurement measurement;
    uint64_t under_way; /* requests without a reply, on all connections */
    int epoll;
};

/* Called when there is something to read, or the end of it. */
typedef void input_handler(struct stream *stream);

/* Before the first connection. */
void prepare_run(struct run *run);

/* Requests with which a connection starts. */
uint32_t first_requests(const struct run *run);

/* Until all phases are over and nothing is under way. With --idle it then says so with a line of
 * JSON, and keeps the connections, whose input is handled as before, until stdin ends. */
void run_load(struct run *run, input_handler *handle_input);

/* The line of JSON that ends a measurement; with --idle there is nothing to add. */
void report_run(const struct run *run);

#endif
