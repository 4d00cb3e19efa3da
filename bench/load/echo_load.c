/*
 * Load generator for TCP servers that send back what they receive: how many messages a second
 * does one echo, and how long does a message wait?
 *
 * It keeps --outstanding messages of --size bytes under way on each connection: as soon as one is
 * back the next goes out (a closed loop), and all that a read makes due leave in one write. Every
 * message begins with a number of its own, and every byte that comes back is compared. Whatever
 * was not to be expected ends the run.
 *
 * A message's time runs from the moment it is due (the arrival of the one that made room for it)
 * until the read that brings its own last byte.
 */
#include "run.h"

#include <stdlib.h>
#include <string.h>

enum {
    NUMBER_LENGTH = sizeof(uint64_t),
    LARGEST_MESSAGE = 1 << 20,
};

struct connection {
    struct load *load;
    struct stream stream;
    uint64_t last_sent, last_echoed; /* numbers */
    uint64_t *due_ns;                /* of each message under way, at the place its number points to */
};

struct load {
    struct run run;
    uint8_t *payload; /* of every message, behind its number */
    struct connection *connections;
};

static uint64_t *due_of(struct connection *connection, uint64_t number)
{
    return &connection->due_ns[number % connection->load->run.options.outstanding];
}

static void queue_message(struct connection *connection, uint64_t due_ns)
{
    struct load *load = connection->load;
    size_t size = load->run.options.size;
    uint64_t number = ++connection->last_sent;
    *due_of(connection, number) = due_ns;
    uint8_t *message = stream_claim(&connection->stream, size);
    memcpy(message, &number, NUMBER_LENGTH);
    memcpy(message + NUMBER_LENGTH, load->payload, size - NUMBER_LENGTH);
    load->run.under_way++;
}

static void settle_message(struct connection *connection, const uint8_t *message, uint64_t arrived_ns)
{
    struct load *load = connection->load;
    uint64_t number, expected = ++connection->last_echoed;
    memcpy(&number, message, NUMBER_LENGTH);
    if (number != expected || expected > connection->last_sent)
        fail("message %llu came back as %llu of %llu", (unsigned long long)expected,
             (unsigned long long)number, (unsigned long long)connection->last_sent);
    if (memcmp(message + NUMBER_LENGTH, load->payload, load->run.options.size - NUMBER_LENGTH) != 0)
        fail("message %llu came back altered", (unsigned long long)number);
    record_reply(&load->run.measurement, arrived_ns - *due_of(connection, number));
    load->run.under_way--;
    if (load->run.measurement.phase != DRAINING)
        queue_message(connection, arrived_ns);
}

static void handle_input(struct stream *stream)
{
    struct connection *connection = stream->owner;
    size_t size = connection->load->run.options.size;
    if (!stream_receive(stream))
        return;
    uint64_t arrived_ns = now_ns();
    struct buffer *input = &stream->input;
    for (; input->end - input->start >= size; input->start += size)
        settle_message(connection, input->bytes + input->start, arrived_ns);
    if (connection->last_echoed == connection->last_sent && input->start != input->end)
        fail("%zu bytes came back that were never sent", input->end - input->start);
    stream_flush(stream);
}

/* ---- the run ------------------------------------------------------------------------ */

static void make_payload(struct load *load)
{
    static const char letters[] = "The quick brown fox jumps over the lazy dog 0123456789, ";
    load->payload = allocate(load->run.options.size, 1);
    for (size_t i = 0; i < load->run.options.size; i++)
        load->payload[i] = (uint8_t)letters[i % (sizeof letters - 1)];
}

static void begin(struct load *load)
{
    const struct options *options = &load->run.options;
    size_t under_way = (size_t)options->size * options->outstanding;
    prepare_run(&load->run);
    make_payload(load);
    load->connections = allocate(options->connections, sizeof(struct connection));
    for (uint32_t i = 0; i < options->connections; i++) {
        struct connection *connection = &load->connections[i];
        connection->load = load;
        connection->due_ns = allocate(options->outstanding, sizeof(uint64_t));
        stream_open(&connection->stream, options->host, options->port, under_way, under_way);
        stream_watch(&connection->stream, load->run.epoll, connection);
    }

    start_phases(&load->run.measurement, options);
    for (uint32_t i = 0; i < options->connections; i++) {
        for (uint32_t message = 0; message < first_requests(&load->run); message++)
            queue_message(&load->connections[i], now_ns());
        stream_flush(&load->connections[i].stream);
    }
}

static void finish(struct load *load)
{
    for (uint32_t i = 0; i < load->run.options.connections; i++) {
        stream_close(&load->connections[i].stream);
        free(load->connections[i].due_ns);
    }
    free(load->connections);
    free(load->payload);
}

int main(int argc, char **argv)
{
    struct load load = {.run.options = parse_options(argc, argv, OUTSTANDING | SIZE)};
    if (load.run.options.size < NUMBER_LENGTH || load.run.options.size > LARGEST_MESSAGE)
        fail("--size must be from %d to %d", NUMBER_LENGTH, LARGEST_MESSAGE);
    begin(&load);
    run_load(&load.run, handle_input);
    finish(&load);
    report_run(&load.run);
    return 0;
}
