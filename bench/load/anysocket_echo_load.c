/*
 * The server for anysocket clients under load: how many requests a second does one make?
 *
 * It waits for --connections clients, each of which keeps --outstanding requests under way, and
 * echoes them; it does so little for each that the client is what is measured. That the replies
 * are right is the client's to check. All that a read made due leaves in one write.
 *
 * A request's time is the client's: from the write of a reply until the read that brings the
 * request which took its place. The clock is read once for each read.
 */
#define _GNU_SOURCE
#include "anysocket.h"
#include "run.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LARGEST_INPUT = 1 << 18,
    TLS_HANDSHAKE = 0x16,
    ACCEPT_DIGITS = 28, /* SHA-1 in base64 */
};

struct connection {
    struct load *load;
    struct stream stream;
    uint64_t requests;
    uint64_t *answered_ns; /* of each reply, at the place its number points to */
};

struct load {
    struct run run;
    struct connection *connections;
};

/* ---- requests ----------------------------------------------------------------------- */

static void echo(struct connection *connection, const struct packet *request, uint64_t now)
{
    const struct options *options = &connection->load->run.options;
    if (request->type != LINK || request->seq < 0)
        fail("a packet of type %c with number %d", request->type, request->seq);
    uint8_t head[LONGEST_PACKET_HEAD];
    size_t head_length = encode_packet_head(head, LINK, -request->seq);
    websocket_append_as_server(&connection->stream, WEBSOCKET_TEXT, head, head_length,
                               request->payload, request->length);

    uint64_t *answered_ns = &connection->answered_ns[connection->requests % options->outstanding];
    if (connection->requests++ >= options->outstanding)
        record_reply(&connection->load->run.measurement, now - *answered_ns);
    *answered_ns = now;
}

static void handle_input(struct stream *stream)
{
    struct connection *connection = stream->owner;
    if (!stream_receive(stream))
        return;
    uint64_t now = now_ns();
    struct frame frame;
    while (websocket_next_frame_as_server(stream, &frame)) {
        struct packet packet = decode_packet(&frame);
        echo(connection, &packet, now);
    }
    stream_flush(stream);
}

/* ---- making a connection ------------------------------------------------------------ */

static void receive(struct stream *stream)
{
    if (!stream_receive(stream))
        fail("the client was silent");
}

/* Clients may try TLS first, which ends here, and then do without. */
static void accept_plain(struct stream *stream, int listener)
{
    stream_accept(stream, listener, LARGEST_INPUT, LARGEST_INPUT);
    receive(stream);
    while (stream->input.bytes[0] == TLS_HANDSHAKE) {
        stream_close(stream);
        stream_accept(stream, listener, LARGEST_INPUT, LARGEST_INPUT);
        receive(stream);
    }
}

static void append(struct stream *stream, const char *text)
{
    memcpy(stream_claim(stream, strlen(text)), text, strlen(text));
}

static void accept_upgrade(struct stream *stream)
{
    struct buffer *input = &stream->input;
    const char *head = (const char *)input->bytes, *end;
    while (!(end = memmem(head, input->end, "\r\n\r\n", 4)))
        receive(stream);
    static const char name[] = "\r\nSec-WebSocket-Key:";
    const char *key = strcasestr(head, name); /* behind a head there is a zero: its buffer is new */
    if (!key || key > end)
        fail("the client asked for no WebSocket");
    key += strlen(name);
    key += strspn(key, " ");

    char sum[64];
    uint8_t digest[SHA_DIGEST_LENGTH], accept[ACCEPT_DIGITS + 1];
    int length = snprintf(sum, sizeof sum, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    SHA1((const uint8_t *)sum, (size_t)length, digest);
    EVP_EncodeBlock(accept, digest, sizeof digest);
    append(stream, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Accept: ");
    append(stream, (const char *)accept);
    append(stream, "\r\n\r\n");
    stream_flush(stream);
    input->start = (size_t)(end - head) + 4;
}

static void authenticate(struct stream *stream)
{
    struct frame frame;
    while (!websocket_next_frame_as_server(stream, &frame))
        receive(stream);
    if (decode_packet(&frame).type != AUTH)
        fail("the client did not authenticate");

    char id[PEER_ID_LENGTH + 1], text[LONGEST_AUTH];
    uint8_t head[LONGEST_PACKET_HEAD];
    write_peer_id(id);
    size_t length = write_auth(text, id);
    websocket_append_as_server(stream, WEBSOCKET_TEXT, head, encode_packet_head(head, AUTH, 1),
                               (const uint8_t *)text, length);
    stream_flush(stream);
}

static void open_connection(struct connection *connection, struct load *load, int listener)
{
    connection->load = load;
    connection->answered_ns = allocate(load->run.options.outstanding, sizeof(uint64_t));
    accept_plain(&connection->stream, listener);
    accept_upgrade(&connection->stream);
    authenticate(&connection->stream);
    stream_watch(&connection->stream, load->run.epoll, connection);
}

/* ---- the run ------------------------------------------------------------------------ */

int main(int argc, char **argv)
{
    struct load load = {.run.options = parse_options(argc, argv, OUTSTANDING)};
    const struct options *options = &load.run.options;
    prepare_run(&load.run);
    load.connections = allocate(options->connections, sizeof(struct connection));
    int listener = listen_on(options->host, options->port);
    for (uint32_t i = 0; i < options->connections; i++)
        open_connection(&load.connections[i], &load, listener);

    /* Nothing is under way from here: the run ends with its window. */
    start_phases(&load.run.measurement, options);
    run_load(&load.run, handle_input);

    close(listener);
    for (uint32_t i = 0; i < options->connections; i++) {
        stream_close(&load.connections[i].stream);
        free(load.connections[i].answered_ns);
    }
    free(load.connections);
    report_run(&load.run);
    return 0;
}
