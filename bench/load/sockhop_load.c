/*
 * Load generator for sockhop servers: how many messages a second does one handle, and how long
 * does one wait?
 *
 * Without --group it sends requests that the server echoes, and keeps a fixed number of them
 * under way on each connection: as soon as a response is here the next request goes out (a
 * closed loop). Every response is matched to its request by its UUID and compared byte for byte.
 *
 * With --group N it sends messages that nobody answers, but for every N-th, which asks for a
 * callback: the answer is the number of messages that this connection has brought so far. A group
 * whose answer is here makes room for the next one, so that it is the server's work that is
 * measured and not the room in its buffers; and no message can be lost unseen. A message's time
 * is that of its group.
 *
 * Whatever was not to be expected ends the run. The generator does little for each message: all
 * that a read makes due leaves in one write, and the clock is read once for each read.
 */
#include "run.h"
#include "sockhop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SMALLEST_PAYLOAD = 2,
    LARGEST_PAYLOAD = 1 << 20,
    LONGEST_ENVELOPE = 160, /* a line without its payload */
};

/* What is under way, at the place its number points to; number 0 marks a free place. */
struct request {
    uint32_t number;
    uint64_t due_ns;
};

struct connection {
    struct load *load;
    struct stream stream;
    size_t searched;
    uint8_t uuid[UUID_LENGTH];
    uint32_t last_number;
    uint64_t answered; /* messages of groups */
    struct request *requests;
};

struct load {
    struct run run;
    struct text payload;
    uint32_t request_mask;
    struct connection *connections;
};

/* ---- what goes out -------------------------------------------------------------------- */

static struct request *place_of(struct connection *connection, uint32_t number)
{
    return &connection->requests[number & connection->load->request_mask];
}

/* Leaves the number in the connection's UUID. */
static void begin_request(struct connection *connection, uint64_t due_ns)
{
    uint32_t number = ++connection->last_number ? connection->last_number : ++connection->last_number;
    struct request *place = place_of(connection, number);
    if (place->number)
        fail("request %" PRIu32 " is still without a response at request %" PRIu32, place->number, number);
    *place = (struct request){.number = number, .due_ns = due_ns};
    connection->load->run.under_way++;
    number_uuid(connection->uuid, number);
}

static void queue_request(struct connection *connection)
{
    struct stream *stream = &connection->stream;
    append(stream, TEXT("{\"type\":\"SockhopRequest\",\"data\":{\"uuid\":\""));
    append(stream, (struct text){connection->uuid, UUID_LENGTH});
    append(stream, TEXT("\",\"data\":"));
    append(stream, connection->load->payload);
    append(stream, TEXT(",\"type\":\"String\"}}\n"));
}

static void queue_group(struct connection *connection)
{
    struct stream *stream = &connection->stream;
    for (uint32_t left = connection->load->run.options.group; left > 0; left--) {
        append(stream, TEXT("{\"type\":\"String\",\"data\":"));
        append(stream, connection->load->payload);
        if (left > 1) {
            append(stream, TEXT("}\n"));
            continue;
        }
        append(stream, TEXT(",\"id\":\""));
        append(stream, (struct text){connection->uuid, UUID_LENGTH});
        append(stream, TEXT("\"}\n"));
    }
}

static void ask(struct connection *connection, uint64_t due_ns)
{
    begin_request(connection, due_ns);
    if (connection->load->run.options.group)
        queue_group(connection);
    else
        queue_request(connection);
}

/* ---- what comes back ------------------------------------------------------------------ */

static void settle(struct connection *connection, struct text uuid, uint64_t arrived_ns)
{
    struct load *load = connection->load;
    uint32_t number = number_of_uuid(uuid.bytes);
    struct request *request = place_of(connection, number);
    number_uuid(connection->uuid, number);
    if (!number || request->number != number || memcmp(uuid.bytes, connection->uuid, UUID_LENGTH) != 0)
        fail("an answer to \"%.*s\", which is not under way", UUID_LENGTH, (const char *)uuid.bytes);
    uint32_t messages = load->run.options.group ? load->run.options.group : 1;
    record_group(&load->run.measurement, arrived_ns - request->due_ns, messages);
    request->number = 0;
    load->run.under_way--;
    if (load->run.measurement.phase != DRAINING)
        ask(connection, arrived_ns);
}

static void handle_response(struct connection *connection, struct text line, uint64_t arrived_ns)
{
    expect(&line, TEXT("{\"type\":\"SockhopResponsePacket\",\"data\":{\"uuid\":\""), "a response");
    struct text uuid = take(&line, UUID_LENGTH, "the UUID of a response");
    expect(&line, TEXT("\",\"type\":\"String\",\"data\":"), "the type of a response");
    expect(&line, connection->load->payload, "what was sent");
    expect(&line, TEXT(",\"last\":true}}"), "the last response");
    settle(connection, uuid, arrived_ns);
}

/* Groups are answered in their order, for a connection keeps the order of its messages. */
static void handle_callback(struct connection *connection, struct text line, uint64_t arrived_ns)
{
    char count[24];
    connection->answered += connection->load->run.options.group;
    int digits = snprintf(count, sizeof count, "%" PRIu64, connection->answered);
    expect(&line, TEXT("{\"type\":\"Number\",\"data\":"), "an answer");
    expect(&line, (struct text){(uint8_t *)count, (size_t)digits}, "the number of messages");
    expect(&line, TEXT(",\"callback_id\":\""), "the id of an answer");
    struct text uuid = take(&line, UUID_LENGTH, "the UUID of an answer");
    expect(&line, TEXT("\"}"), "the end of an answer");
    settle(connection, uuid, arrived_ns);
}

static void handle_input(struct stream *stream)
{
    struct connection *connection = stream->owner;
    if (!stream_receive(stream))
        return;
    uint64_t arrived_ns = now_ns();
    struct text line;
    while (next_line(stream, &connection->searched, &line)) {
        if (connection->load->run.options.group)
            handle_callback(connection, line, arrived_ns);
        else
            handle_response(connection, line, arrived_ns);
    }
    stream_flush(stream);
}

/* ---- the run -------------------------------------------------------------------------- */

/* Room for responses out of order: a request may be overtaken by three full sets of others. */
static uint32_t request_mask(uint32_t outstanding)
{
    uint32_t places = 4;
    while (places < 4 * outstanding)
        places *= 2;
    return places - 1;
}

static void open_connection(struct connection *connection, struct load *load)
{
    const struct options *options = &load->run.options;
    size_t line = LONGEST_ENVELOPE + (size_t)options->size;
    size_t input = line * options->outstanding;
    size_t output = input * (options->group ? options->group : 1);
    connection->load = load;
    connection->requests = allocate((size_t)load->request_mask + 1, sizeof(struct request));
    make_uuid(connection->uuid);
    if (options->path)
        stream_open_path(&connection->stream, options->path, input, output);
    else
        stream_open(&connection->stream, options->host, options->port, input, output);
    stream_watch(&connection->stream, load->run.epoll, connection);
}

static void begin(struct load *load)
{
    const struct options *options = &load->run.options;
    prepare_run(&load->run);
    load->request_mask = request_mask(options->outstanding);
    uint8_t *payload = allocate(options->size, 1);
    make_payload(payload, options->size);
    load->payload = (struct text){payload, options->size};
    load->connections = allocate(options->connections, sizeof(struct connection));
    for (uint32_t i = 0; i < options->connections; i++)
        open_connection(&load->connections[i], load);

    start_phases(&load->run.measurement, options);
    for (uint32_t i = 0; i < options->connections; i++) {
        for (uint32_t request = 0; request < first_requests(&load->run); request++)
            ask(&load->connections[i], now_ns());
        stream_flush(&load->connections[i].stream);
    }
}

static void finish(struct load *load)
{
    for (uint32_t i = 0; i < load->run.options.connections; i++) {
        stream_close(&load->connections[i].stream);
        free(load->connections[i].requests);
    }
    free(load->connections);
    free((uint8_t *)load->payload.bytes);
}

int main(int argc, char **argv)
{
    struct load load = {.run.options = parse_options(argc, argv, OUTSTANDING | SIZE | IDLE | UNIX_PATH | GROUP)};
    if (load.run.options.size < SMALLEST_PAYLOAD || load.run.options.size > LARGEST_PAYLOAD)
        fail("--size must be from %d to %d", SMALLEST_PAYLOAD, LARGEST_PAYLOAD);
    begin(&load);
    run_load(&load.run, handle_input);
    finish(&load);
    report_run(&load.run);
    return 0;
}
