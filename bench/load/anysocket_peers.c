#include "anysocket_peers.h"
#include "anysocket.h"
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST_SIZE = 3 }; /* one letter: npm's anysocket sends {} for an empty string */

/* A JSON text, as it is and masked for a WebSocket. */
struct text {
    uint8_t *plain;
    uint8_t *masked;
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
    char id[PEER_ID_LENGTH + 1];
    void *link; /* of the encryption, once there is one */
    int32_t last_seq;
    struct request *requests;
};

struct load {
    struct run run;
    const struct encryption *encryption;
    enum packet_type type; /* of requests and replies */
    struct text request;
    struct text reply;
    uint8_t *masked_payload; /* of the packet that is being encrypted */
    uint32_t request_mask;
    struct connection *connections;
};

/* ---- packets ------------------------------------------------------------------------ */

static int32_t next_seq(struct connection *connection)
{
    connection->last_seq = following_seq(connection->last_seq);
    return connection->last_seq;
}

static void append_packet(struct connection *connection, enum packet_type type, int32_t seq,
                          const struct text *text)
{
    const struct encryption *encryption = connection->load->encryption;
    const uint8_t *masked = text->masked;
    size_t length = text->length;
    if (connection->link) {
        uint8_t *payload = connection->load->masked_payload;
        encryption->seal(connection->link, (uint32_t)seq, text->plain, length, payload);
        masked = payload;
        length = encryption->sealed_length(length);
    }
    uint8_t head[LONGEST_PACKET_HEAD];
    size_t head_length = encode_packet_head(head, type, seq);
    websocket_append(&connection->stream, WEBSOCKET_TEXT, head, head_length, masked, length);
}

static void append_plain_packet(struct connection *connection, enum packet_type type, const char *text)
{
    uint8_t packet[LONGEST_PACKET_HEAD + LONGEST_SWITCH];
    size_t head_length = encode_packet_head(packet, type, next_seq(connection));
    size_t length = strlen(text);
    memcpy(packet + head_length, text, length);
    websocket_append(&connection->stream, WEBSOCKET_TEXT, packet, head_length + length, NULL, 0);
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
    append_packet(connection, load->type, seq, &load->request);
}

static void settle_request(struct connection *connection, const struct packet *reply, uint64_t arrived_ns)
{
    struct load *load = connection->load;
    int32_t seq = -reply->seq;
    struct request *request = place_of(connection, seq);
    if (request->seq != seq)
        fail("a reply to request %d, which is not under way", seq);
    if (reply->length != load->reply.length)
        fail("%zu bytes came back for request %d, not %zu", reply->length, seq, load->reply.length);
    if (memcmp(reply->payload, load->reply.plain, reply->length) != 0)
        fail("request %d came back altered", seq);

    record_reply(&load->run.measurement, arrived_ns - request->due_ns);
    request->seq = 0;
    load->run.under_way--;
    if (load->run.measurement.phase != DRAINING)
        queue_request(connection, arrived_ns);
}

static void answer_heartbeat(struct connection *connection)
{
    uint8_t pong = '2', masked_pong = '2' ^ WEBSOCKET_MASK;
    const struct text text = {.plain = &pong, .masked = &masked_pong, .length = 1};
    append_packet(connection, HEARTBEAT, next_seq(connection), &text);
}

static void handle_packet(struct connection *connection, struct packet *packet, uint64_t arrived_ns)
{
    if (connection->link) {
        uint32_t number = (uint32_t)(packet->seq < 0 ? -packet->seq : packet->seq);
        packet->payload = connection->load->encryption->open(
            connection->link, number, packet->payload, &packet->length);
    }
    if (packet->type == connection->load->type && packet->seq < 0)
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

static struct packet wait_for_packet(struct connection *connection, enum packet_type type, const char *what)
{
    struct frame frame;
    while (!websocket_next_frame(&connection->stream, &frame))
        if (!stream_receive(&connection->stream))
            fail("the server did not %s in time", what);
    struct packet packet = decode_packet(&frame);
    if (packet.type != type)
        fail("the server did not %s", what);
    return packet;
}

static void authenticate(struct connection *connection)
{
    char text[LONGEST_AUTH];
    write_peer_id(connection->id);
    write_auth(text, connection->id);
    append_plain_packet(connection, AUTH, text);
    stream_flush(&connection->stream);
    wait_for_packet(connection, AUTH, "authenticate");
}

static void encrypt(struct connection *connection)
{
    const struct encryption *encryption = connection->load->encryption;
    char text[LONGEST_SWITCH];
    void *link = encryption->begin(connection->id, text);
    append_plain_packet(connection, SWITCH, text);
    stream_flush(&connection->stream);
    struct packet answer = wait_for_packet(connection, SWITCH, "encrypt the link");
    encryption->agree(link, answer.payload, answer.length);
    connection->link = link;
}

static void open_connection(struct connection *connection, struct load *load)
{
    const struct options *options = &load->run.options;
    size_t request = load->request.length, reply = load->reply.length;
    size_t largest_text = request > reply ? request : reply;
    size_t largest_frame = WEBSOCKET_LONGEST_HEAD + LONGEST_PACKET_HEAD
        + (load->encryption ? load->encryption->sealed_length(largest_text) : largest_text);
    connection->load = load;
    connection->requests = allocate((size_t)load->request_mask + 1, sizeof(struct request));
    websocket_open(&connection->stream, options->host, options->port,
                   largest_frame, largest_frame * options->outstanding);
    authenticate(connection);
    if (load->encryption)
        encrypt(connection);
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

/* A JSON string of the size that was asked for, between two other parts of a JSON text. */
static struct text make_text(const char *before, uint32_t size, const char *after)
{
    static const char letters[] = "The quick brown fox jumps over the lazy dog 0123456789, ";
    size_t start = strlen(before), length = start + size + strlen(after);
    struct text text = {.plain = allocate(length, 1), .masked = allocate(length, 1), .length = length};
    memcpy(text.plain, before, start);
    for (size_t i = 0; i < size; i++)
        text.plain[start + i] = (uint8_t)letters[i % (sizeof letters - 1)];
    text.plain[start] = text.plain[start + size - 1] = '"';
    memcpy(text.plain + start + size, after, strlen(after));
    for (size_t i = 0; i < length; i++)
        text.masked[i] = text.plain[i] ^ WEBSOCKET_MASK;
    return text;
}

static void make_texts(struct load *load)
{
    uint32_t size = load->run.options.size;
    if (load->run.options.rpc) {
        load->type = INTERNAL;
        load->request = make_text("{\"type\":3,\"method\":[\"echo\"],\"params\":[", size, "],\"bin\":[]}");
        load->reply = make_text("{\"result\":", size, ",\"bin\":false}");
    } else {
        load->type = LINK;
        load->request = make_text("", size, "");
        load->reply = make_text("", size, "");
    }
    if (load->request.length > LARGEST_PAYLOAD || load->reply.length > LARGEST_PAYLOAD)
        fail("--size %u does not fit into one packet", size);
    if (load->encryption)
        load->masked_payload = allocate(load->encryption->sealed_length(load->request.length), 1);
}

static void free_text(struct text *text)
{
    free(text->plain);
    free(text->masked);
}

static void begin(struct load *load)
{
    const struct options *options = &load->run.options;
    prepare_run(&load->run);
    load->request_mask = request_mask(options->outstanding);
    make_texts(load);
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
        if (connection->link)
            load->encryption->end(connection->link);
    }
    free(load->connections);
    free_text(&load->request);
    free_text(&load->reply);
    free(load->masked_payload);
}

int run_anysocket_peers(int argc, char **argv, const struct encryption *encryption)
{
    struct load load = {
        .run.options = parse_options(argc, argv, OUTSTANDING | SIZE | IDLE | RPC),
        .encryption = encryption,
    };
    if (load.run.options.size < SMALLEST_SIZE)
        fail("--size must be %d at least", SMALLEST_SIZE);
    begin(&load);
    run_load(&load.run, handle_input);
    finish(&load);
    report_run(&load.run);
    return 0;
}
