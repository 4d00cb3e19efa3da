/*
 * What every load generator of this folder shares: the command line, the clock, the phases
 * of a run, the latency histogram and the line of JSON that ends it.
 *
 * A run warms up, measures, and drains: after the measured window nothing new is asked, and
 * every request still under way must be answered before the generator ends. Only replies that
 * arrive inside the window count.
 */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    const char *host;
    uint16_t port;
    const char *path;     /* of a Unix socket, in place of host and port; else NULL */
    uint32_t connections;
    uint32_t outstanding; /* requests under way on each connection */
    uint32_t size;        /* bytes of a payload */
    uint32_t group;       /* one-way messages of which only the last is answered; 0: requests */
    bool headers;         /* a browser's, not only those that must be there */
    bool rpc;             /* calls of a function, not messages */
    bool idle;            /* one request on each connection, and then nothing */
    double seconds;
    double warmup;
};

/* Those that only some generators have; --pipeline is another name of --outstanding. */
enum option_name {
    OUTSTANDING = 1 << 8,
    PIPELINE = 1 << 9,
    SIZE = 1 << 10,
    HEADERS = 1 << 11,
    IDLE = 1 << 12,
    UNIX_PATH = 1 << 13,
    GROUP = 1 << 14,
    RPC = 1 << 15,
};

enum phase { WARMING_UP, MEASURING, DRAINING };

/*
 * Counts on a logarithmic scale: 64 buckets for each power of two, so a bucket is at most
 * 1/64 wide and its middle at most 0.8 % off. 59 powers hold every 64-bit number.
 */
enum { HISTOGRAM_BUCKETS = 59 * 64 };

struct measurement {
    enum phase phase;
    uint64_t window_ns;
    uint64_t phase_ends_ns;
    uint64_t began_ns;
    uint64_t cpu_began_ns;
    double seconds; /* how long the window really was */
    double busy;    /* share of it that this process spent on a processor */
    uint64_t requests;
    uint64_t slowest_ns;
    uint64_t histogram[HISTOGRAM_BUCKETS];
};

/* `accepted`: the names above that this generator knows, or-ed; it fails for the others. */
struct options parse_options(int argc, char **argv, unsigned accepted);

/* Says why on stderr and ends the process with status 1: half a measurement is none. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t now_ns(void);

/* With --idle it starts at the end: each connection's one request is under way, and drains. */
void start_phases(struct measurement *measurement, const struct options *options);
void advance_phase(struct measurement *measurement, uint64_t now);
void record_reply(struct measurement *measurement, uint64_t latency_ns);

/* One reply that answers for so many messages. */
void record_group(struct measurement *measurement, uint64_t latency_ns, uint32_t messages);
void print_report(const struct measurement *measurement, const struct options *options);

#endif
