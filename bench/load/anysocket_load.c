/*
 * Load generator for anysocket servers that echo: how many requests a second does one answer,
 * and how long does a request wait?
 *
 * It opens plain WebSocket connections, authenticates on each as an anysocket peer of its own,
 * and keeps a fixed number of requests under way on every one of them: as soon as a reply is
 * here the next request goes out (a closed loop). Every reply is matched to its request by its
 * number and compared byte for byte. Whatever was not to be expected ends the run: a server that
 * answers wrongly has no speed.
 *
 * The generator must not be what limits the server, so it does little for each request. The
 * payload is masked once and for all, all requests that a read makes due leave in one write, and
 * the clock is read once for each read. A request's time runs from the moment it is due (the
 * arrival of the reply that made room for it) until the read that brings its own reply.
 *
 * With --idle each peer asks once and then only answers heartbeats: what does a peer that does
 * nothing cost the server?
 */
#include "run.h"
#include "websocket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    SMALLEST_PAYLOAD = 3,      /* one letter: npm's anysocket sends {} for an empty string */
    LARGEST_PAYLOAD = 1 << 20, /* more does not fit into one packet and needs chunks */
    LONGEST_PACKET_HEAD = 10,  /* two digits and four characters of one or two bytes */
    PEER_ID_LENGTH = 32,
};

enum packet_type { AUTH = '1', LINK = '3', HEARTBEAT = '5' };

struct packet {
    uint8_t type;
    int32_t seq;
    const uint8_t *payload;
    size_t length;
};

/* A request under way, at the place its number points to; number 0 marks a free place. */
struct request {
    int32_t seq;
    uint64_t due_ns;
};

struct connection {
    struct load *load;
    struct stream stream;
    int32_t last_seq;
    struct request *requests;
};

struct load {
    struct run run;
    uint8_t *payload;        /* as the server is to send it back */
    uint8_t *masked_payload; /* as it goes out */
    uint32_t request_mask;
    struct connection *connections;
};

/* ---- packets ------------------------------------------------------------------------ */

/* Each byte of the number is one character, and from U+0080 on UTF-8 needs two bytes for one. */
static size_t encode_head(uint8_t *head, enum packet_type type, int32_t seq)
{
    size_t length = 0;
    head[length++] = '1';
    head[length++] = (uint8_t)type;
    for (int shift = 24; shift >= 0; shift -= 8) {
        uint8_t byte = (uint8_t)((uint32_t)seq >> shift);
        if (byte >= 0x80) {
            head[length++] = 0xc0 | (byte >> 6);
            byte = 0x80 | (byte & 0x3f);
        }
        head[length++] = byte;
    }
    return length;
}

static struct packet decode_packet(const struct frame *frame)
{
    if (frame->opcode != WEBSOCKET_TEXT || frame->length < 6 || frame->payload[0] != '1')
        fail("a frame of %zu bytes that is not a whole packet (opcode %d)", frame->length, frame->opcode);
    const uint8_t *at = frame->payload + 2, *end = frame->payload + frame->length;
    uint32_t seq = 0;
    for (int character = 0; character < 4; character++) {
        if (at < end && *at < 0x80) {
            seq = seq << 8 | *at++;
        } else if (end - at >= 2 && (*at & 0xfe) == 0xc2 && (at[1] & 0xc0) == 0x80) {
            seq = seq << 8 | (uint32_t)(at[0] & 3) << 6 | (at[1] & 0x3f);
            at += 2;
        } else {
            fail("a packet number that is not four characters up to U+00FF");
        }
    }
    return (struct packet){
        .type = frame->payload[1], .seq = (int32_t)seq, .payload = at, .length = (size_t)(end - at)};
}

static int32_t next_seq(struct connection *connection)
{
    connection->last_seq = connection->last_seq == INT32_MAX ? 1 : connection->last_seq + 1;
    return connection->last_seq;
}

/* ---- requests and replies ----------------------------------------------------------- */

static struct request *place_of(struct connection *connection, int32_t seq)
{
    return &connection->requests[(uint32_t)seq & connection->load->request_mask];
}

static void queue_request(struct connection *connection, uint64_t due_ns)
{
    struct load *load = connection->load;
    int32_t seq = next_seq(connection);
    struct request *place = place_of(connection, seq);
    if (place->seq)
        fail("request %d is still without a reply at request %d", place->seq, seq);
    *place = (struct request){.seq = seq, .due_ns = due_ns};
    load->run.under_way++;

    uint8_t head[LONGEST_PACKET_HEAD];
    size_t head_length = encode_head(head, LINK, seq);
    websocket_append(&connection->stream, WEBSOCKET_TEXT, head, head_length,
                     load->masked_payload, load->run.options.size);
}

static void settle_request(struct connection *connection, const struct packet *reply, uint64_t arrived_ns)
{
    struct load *load = connection->load;
    int32_t seq = -reply->seq;
    struct request *request = place_of(connection, seq);
    if (request->seq != seq)
        fail("a reply to request %d, which is not under way", seq);
    if (reply->length != load->run.options.size)
        fail("%zu bytes came back for request %d, not %u", reply->length, seq, load->run.options.size);
    if (memcmp(reply->payload, load->payload, reply->length) != 0)
        fail("request %d came back altered", seq);

    record_reply(&load->run.measurement, arrived_ns - request->due_ns);
    request->seq = 0;
    load->run.under_way--;
    if (load->run.measurement.phase != DRAINING)
        queue_request(connection, arrived_ns);
}

static void answer_heartbeat(struct connection *connection)
{
    uint8_t pong[LONGEST_PACKET_HEAD + 1];
    size_t length = encode_head(pong, HEARTBEAT, next_seq(connection));
    pong[length++] = '2';
    websocket_append(&connection->stream, WEBSOCKET_TEXT, pong, length, NULL, 0);
}

static void handle_packet(struct connection *connection, const struct packet *packet, uint64_t arrived_ns)
{
    if (packet->type == LINK && packet->seq < 0)
        settle_request(connection, packet, arrived_ns);
    else if (packet->type == HEARTBEAT && packet->length == 1 && packet->payload[0] == '1')
        answer_heartbeat(connection);
    else
        fail("a packet of type %c with number %d and %zu bytes", packet->type, packet->seq, packet->length);
}

static void handle_input(struct stream *stream)
{
    struct connection *connection = stream->owner;
    if (!stream_receive(stream))
        return;
    uint64_t arrived_ns = now_ns();
    struct frame frame;
    while (websocket_next_frame(stream, &frame)) {
        struct packet packet = decode_packet(&frame);
        handle_packet(connection, &packet, arrived_ns);
    }
    stream_flush(stream);
}

/* ---- making a connection ------------------------------------------------------------ */

/* A version 4 UUID without its dashes: the server turns away an id that it knows already. */
static void write_peer_id(char id[PEER_ID_LENGTH + 1])
{
    uint8_t bytes[PEER_ID_LENGTH / 2];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        fail("getrandom: %s", strerror(errno));
    bytes[6] = 0x40 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    for (size_t i = 0; i < sizeof bytes; i++)
        sprintf(id + 2 * i, "%02x", bytes[i]);
}

static void authenticate(struct connection *connection)
{
    char id[PEER_ID_LENGTH + 1];
    write_peer_id(id);
    uint8_t packet[LONGEST_PACKET_HEAD + sizeof "{\"id\":\"\"}" + PEER_ID_LENGTH];
    size_t length = encode_head(packet, AUTH, next_seq(connection));
    length += (size_t)sprintf((char *)packet + length, "{\"id\":\"%s\"}", id);
    websocket_append(&connection->stream, WEBSOCKET_TEXT, packet, length, NULL, 0);
    stream_flush(&connection->stream);

    struct frame frame;
    while (!websocket_next_frame(&connection->stream, &frame))
        if (!stream_receive(&connection->stream))
            fail("the server did not authenticate in time");
    if (decode_packet(&frame).type != AUTH)
        fail("the server did not authenticate");
}

static void open_connection(struct connection *connection, struct load *load)
{
    const struct options *options = &load->run.options;
    size_t largest_frame = WEBSOCKET_LONGEST_HEAD + LONGEST_PACKET_HEAD + (size_t)options->size;
    connection->load = load;
    connection->requests = allocate((size_t)load->request_mask + 1, sizeof(struct request));
    websocket_open(&connection->stream, options->host, options->port,
                   largest_frame, largest_frame * options->outstanding);
    authenticate(connection);
    stream_watch(&connection->stream, load->run.epoll, connection);
}

/* ---- the run ------------------------------------------------------------------------ */

/* Room for replies out of order: a request may be overtaken by three full sets of others. */
static uint32_t request_mask(uint32_t outstanding)
{
    uint32_t places = 4;
    while (places < 4 * outstanding)
        places *= 2;
    return places - 1;
}

static void make_payload(struct load *load)
{
    static const char letters[] = "The quick brown fox jumps over the lazy dog 0123456789, ";
    size_t size = load->run.options.size;
    load->payload = allocate(size, 1);
    load->masked_payload = allocate(size, 1);
    for (size_t i = 0; i < size; i++)
        load->payload[i] = (uint8_t)letters[i % (sizeof letters - 1)];
    load->payload[0] = load->payload[size - 1] = '"';
    for (size_t i = 0; i < size; i++)
        load->masked_payload[i] = load->payload[i] ^ WEBSOCKET_MASK;
}

static void begin(struct load *load)
{
    const struct options *options = &load->run.options;
    prepare_run(&load->run);
    load->request_mask = request_mask(options->outstanding);
    make_payload(load);
    load->connections = allocate(options->connections, sizeof(struct connection));
    for (uint32_t i = 0; i < options->connections; i++)
        open_connection(&load->connections[i], load);

    start_phases(&load->run.measurement, options);
    for (uint32_t i = 0; i < options->connections; i++) {
        for (uint32_t request = 0; request < first_requests(&load->run); request++)
            queue_request(&load->connections[i], now_ns());
        stream_flush(&load->connections[i].stream);
    }
}

static void finish(struct load *load)
{
    for (uint32_t i = 0; i < load->run.options.connections; i++) {
        struct connection *connection = &load->connections[i];
        websocket_append(&connection->stream, WEBSOCKET_CLOSE, NULL, 0, NULL, 0);
        stream_flush(&connection->stream);
        stream_close(&connection->stream);
        free(connection->requests);
    }
    free(load->connections);
    free(load->payload);
    free(load->masked_payload);
}

int main(int argc, char **argv)
{
    struct load load = {.run.options = parse_options(argc, argv, OUTSTANDING | SIZE | IDLE)};
    if (load.run.options.size < SMALLEST_PAYLOAD || load.run.options.size > LARGEST_PAYLOAD)
        fail("--size must be from %d to %d", SMALLEST_PAYLOAD, LARGEST_PAYLOAD);
    begin(&load);
    run_load(&load.run, handle_input);
    finish(&load);
    report_run(&load.run);
    return 0;
}
