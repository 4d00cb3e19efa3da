#define _GNU_SOURCE
#include "measure.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const double DRAIN_SECONDS = 10;

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "load generator: ");
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

/* ---- command line ------------------------------------------------------------------- */

static double parse_number(const char *name, const char *text, double least, double most)
{
    char *rest;
    errno = 0;
    double number = strtod(text, &rest);
    if (errno || rest == text || *rest || !(number >= least && number <= most))
        fail("--%s takes a number from %g to %g, not \"%s\"", name, least, most, text);
    return number;
}

static uint32_t parse_count(const char *name, const char *text, uint32_t most)
{
    double number = parse_number(name, text, 1, most);
    if (number != (uint32_t)number)
        fail("--%s takes a whole number, not \"%s\"", name, text);
    return (uint32_t)number;
}

static bool parse_switch(const char *name, const char *text)
{
    double number = parse_number(name, text, 0, 1);
    if (number != 0 && number != 1)
        fail("--%s is 0 or 1, not \"%s\"", name, text);
    return number == 1;
}

struct options parse_options(int argc, char **argv, unsigned accepted)
{
    static const struct option known[] = {
        {"host", required_argument, NULL, 'h'},        {"port", required_argument, NULL, 'p'},
        {"connections", required_argument, NULL, 'c'}, {"seconds", required_argument, NULL, 's'},
        {"warmup", required_argument, NULL, 'w'},      {"outstanding", required_argument, NULL, OUTSTANDING},
        {"size", required_argument, NULL, SIZE},       {"pipeline", required_argument, NULL, PIPELINE},
        {"idle", required_argument, NULL, IDLE},       {"headers", required_argument, NULL, HEADERS},
        {"path", required_argument, NULL, UNIX_PATH},  {"group", required_argument, NULL, GROUP},
        {"rpc", required_argument, NULL, RPC},
        {NULL, 0, NULL, 0},
    };
    struct options options = {.host = "127.0.0.1", .connections = 1, .outstanding = 1,
                              .size = 64, .seconds = 3, .warmup = 2};
    for (int name, index; (name = getopt_long(argc, argv, "", known, &index)) != -1;) {
        if (name >= OUTSTANDING && !(accepted & (unsigned)name))
            fail("--%s is no option of this generator", known[index].name);
        switch (name) {
        case 'h': options.host = optarg; break;
        case 'p': options.port = (uint16_t)parse_count("port", optarg, UINT16_MAX); break;
        case 'c': options.connections = parse_count("connections", optarg, 60000); break;
        case OUTSTANDING:
        case PIPELINE: options.outstanding = parse_count(known[index].name, optarg, 65536); break;
        case SIZE: options.size = parse_count("size", optarg, 1 << 30); break;
        case GROUP: options.group = parse_count("group", optarg, 65536); break;
        case UNIX_PATH: options.path = optarg; break;
        case HEADERS: options.headers = parse_switch("headers", optarg); break;
        case RPC: options.rpc = parse_switch("rpc", optarg); break;
        case IDLE: options.idle = parse_switch("idle", optarg); break;
        case 's': options.seconds = parse_number("seconds", optarg, 0.01, 86400); break;
        case 'w': options.warmup = parse_number("warmup", optarg, 0, 86400); break;
        default: exit(2);
        }
    }
    if (optind != argc)
        fail("what is \"%s\"?", argv[optind]);
    if (!options.port == !options.path)
        fail("give --port%s", accepted & UNIX_PATH ? " or --path" : "");
    return options;
}

/* ---- time --------------------------------------------------------------------------- */

static uint64_t read_clock(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

uint64_t now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static uint64_t cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static uint64_t seconds_to_ns(double seconds)
{
    return (uint64_t)(seconds * 1e9);
}

static double ns_to_seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

/* ---- phases ------------------------------------------------------------------------- */

void start_phases(struct measurement *measurement, const struct options *options)
{
    measurement->phase = options->idle ? DRAINING : WARMING_UP;
    measurement->window_ns = seconds_to_ns(options->seconds);
    measurement->phase_ends_ns = now_ns() + seconds_to_ns(options->idle ? DRAIN_SECONDS : options->warmup);
}

/*
 * A phase ends with the first event after its time. The window is therefore as long as the
 * clock says it was, not as long as it was meant to be, and the rate is free of that error.
 */
void advance_phase(struct measurement *measurement, uint64_t now)
{
    if (now < measurement->phase_ends_ns)
        return;
    switch (measurement->phase) {
    case WARMING_UP:
        measurement->phase = MEASURING;
        measurement->phase_ends_ns = now + measurement->window_ns;
        measurement->began_ns = now;
        measurement->cpu_began_ns = cpu_ns();
        break;
    case MEASURING:
        measurement->phase = DRAINING;
        measurement->phase_ends_ns = now + seconds_to_ns(DRAIN_SECONDS);
        measurement->seconds = ns_to_seconds(now - measurement->began_ns);
        measurement->busy = ns_to_seconds(cpu_ns() - measurement->cpu_began_ns) / measurement->seconds;
        break;
    case DRAINING:
        fail("some requests were still without a reply %g s after the last one was sent", DRAIN_SECONDS);
    }
}

/* ---- latency ------------------------------------------------------------------------ */

static unsigned bucket_of(uint64_t value)
{
    unsigned shift = value < 128 ? 0 : 57 - (unsigned)__builtin_clzll(value);
    return (shift << 6) + (unsigned)(value >> shift);
}

static uint64_t middle_of_bucket(unsigned bucket)
{
    unsigned shift = bucket < 128 ? 0 : (bucket >> 6) - 1;
    uint64_t lowest = (uint64_t)(bucket - (shift << 6)) << shift;
    return lowest + ((1ULL << shift) >> 1);
}

void record_reply(struct measurement *measurement, uint64_t latency_ns)
{
    record_group(measurement, latency_ns, 1);
}

void record_group(struct measurement *measurement, uint64_t latency_ns, uint32_t messages)
{
    if (measurement->phase != MEASURING)
        return;
    measurement->requests += messages;
    measurement->histogram[bucket_of(latency_ns)] += messages;
    if (latency_ns > measurement->slowest_ns)
        measurement->slowest_ns = latency_ns;
}

static double percentile_us(const struct measurement *measurement, uint64_t percent)
{
    uint64_t rank = (measurement->requests * percent + 99) / 100;
    unsigned bucket = 0;
    for (uint64_t seen = measurement->histogram[0]; seen < rank; seen += measurement->histogram[bucket])
        bucket++;
    return (double)middle_of_bucket(bucket) / 1000;
}

void print_report(const struct measurement *measurement, const struct options *options)
{
    if (!measurement->requests)
        fail("not one reply arrived in the measured window");
    printf("{\"requests\": %" PRIu64 ", \"seconds\": %.6f, \"rate\": %.1f, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, \"busy\": %.3f, "
           "\"connections\": %" PRIu32 ", \"outstanding\": %" PRIu32 ", \"size\": %" PRIu32 "}\n",
           measurement->requests, measurement->seconds, (double)measurement->requests / measurement->seconds,
           percentile_us(measurement, 50), percentile_us(measurement, 99),
           (double)measurement->slowest_ns / 1000, measurement->busy,
           options->connections, options->outstanding, options->size);
}
