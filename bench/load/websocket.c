#define _GNU_SOURCE
#include "websocket.h"
#include "measure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ROOM_FOR_CONTROL = 4096,
    SMALLEST_BUFFER = 1 << 16, /* a read takes what has piled up, up to this */
    HANDSHAKE_SECONDS = 5,
};

/* ---- buffers ------------------------------------------------------------------------ */

void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        fail("no memory for %zu times %zu bytes", count, size);
    return memory;
}

static struct buffer make_buffer(size_t wanted)
{
    size_t capacity = wanted + ROOM_FOR_CONTROL < SMALLEST_BUFFER ? SMALLEST_BUFFER : wanted + ROOM_FOR_CONTROL;
    return (struct buffer){.bytes = allocate(capacity, 1), .capacity = capacity};
}

static void compact(struct buffer *buffer)
{
    memmove(buffer->bytes, buffer->bytes + buffer->start, buffer->end - buffer->start);
    buffer->end -= buffer->start;
    buffer->start = 0;
}

static uint8_t *claim(struct buffer *buffer, size_t length)
{
    if (buffer->capacity - buffer->end < length)
        compact(buffer);
    if (buffer->capacity - buffer->end < length)
        fail("the server asks for more answers than it reads");
    uint8_t *claimed = buffer->bytes + buffer->end;
    buffer->end += length;
    return claimed;
}

/* ---- frames ------------------------------------------------------------------------- */

static size_t encode_head(uint8_t *head, enum websocket_opcode opcode, size_t length)
{
    size_t used = 0;
    int length_bytes = length < 126 ? 0 : length <= UINT16_MAX ? 2 : 8;
    head[used++] = 0x80 | (uint8_t)opcode;
    head[used++] = 0x80 | (length_bytes == 0 ? (uint8_t)length : length_bytes == 2 ? 126 : 127);
    for (int byte = length_bytes - 1; byte >= 0; byte--)
        head[used++] = (uint8_t)(length >> (8 * byte));
    memset(head + used, WEBSOCKET_MASK, 4);
    return used + 4;
}

void websocket_append(struct websocket *websocket, enum websocket_opcode opcode,
                      const uint8_t *plain, size_t plain_length, const uint8_t *masked, size_t masked_length)
{
    uint8_t head[WEBSOCKET_LONGEST_HEAD];
    size_t length = plain_length + masked_length;
    size_t head_length = encode_head(head, opcode, length);
    uint8_t *frame = claim(&websocket->output, head_length + length);
    memcpy(frame, head, head_length);
    frame += head_length;
    for (size_t i = 0; i < plain_length; i++)
        frame[i] = plain[i] ^ WEBSOCKET_MASK;
    if (masked_length)
        memcpy(frame + plain_length, masked, masked_length);
}

static bool take_frame(struct buffer *input, struct frame *frame)
{
    const uint8_t *bytes = input->bytes + input->start;
    size_t available = input->end - input->start;
    if (available < 2)
        return false;
    if ((bytes[0] & 0xf0) != 0x80 || bytes[1] & 0x80)
        fail("a frame that is fragmented, compressed or masked (it starts with %02x %02x)", bytes[0], bytes[1]);

    size_t length_bytes = bytes[1] == 126 ? 2 : bytes[1] == 127 ? 8 : 0;
    size_t head_length = 2 + length_bytes;
    if (available < head_length)
        return false;
    uint64_t length = length_bytes ? 0 : bytes[1];
    for (size_t i = 2; i < head_length; i++)
        length = length << 8 | bytes[i];
    if (length > input->capacity - head_length)
        fail("a frame of %llu bytes, more than any reply has", (unsigned long long)length);
    if (available - head_length < length)
        return false;

    *frame = (struct frame){.opcode = bytes[0] & 0x0f, .payload = bytes + head_length, .length = length};
    input->start += head_length + length;
    return true;
}

bool websocket_next_frame(struct websocket *websocket, struct frame *frame)
{
    while (take_frame(&websocket->input, frame)) {
        if (frame->opcode == WEBSOCKET_CLOSE)
            fail("the server said goodbye");
        if (frame->opcode != WEBSOCKET_PING)
            return true;
        websocket_append(websocket, WEBSOCKET_PONG, frame->payload, frame->length, NULL, 0);
    }
    return false;
}

/* ---- sockets ------------------------------------------------------------------------ */

bool websocket_receive(struct websocket *websocket)
{
    struct buffer *input = &websocket->input;
    compact(input);
    ssize_t received = read(websocket->socket, input->bytes + input->end, input->capacity - input->end);
    if (received == 0)
        fail("the server closed a connection");
    if (received < 0 && errno != EAGAIN && errno != EINTR)
        fail("reading from the server: %s", strerror(errno));
    if (received > 0)
        input->end += (size_t)received;
    return received > 0;
}

static void watch(struct websocket *websocket, int operation, void *owner)
{
    uint32_t events = EPOLLIN | (websocket->awaits_room ? (uint32_t)EPOLLOUT : 0);
    struct epoll_event event = {.events = events, .data.ptr = owner};
    if (epoll_ctl(websocket->epoll, operation, websocket->socket, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
}

void websocket_watch(struct websocket *websocket, int epoll, void *owner)
{
    if (fcntl(websocket->socket, F_SETFL, O_NONBLOCK) < 0)
        fail("fcntl: %s", strerror(errno));
    websocket->epoll = epoll;
    watch(websocket, EPOLL_CTL_ADD, owner);
}

void websocket_flush(struct websocket *websocket, void *owner)
{
    struct buffer *output = &websocket->output;
    if (output->start < output->end) {
        size_t length = output->end - output->start;
        ssize_t sent = send(websocket->socket, output->bytes + output->start, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            fail("writing to the server: %s", strerror(errno));
        output->start += sent > 0 ? (size_t)sent : 0;
    }
    bool awaits_room = output->start < output->end;
    if (!awaits_room)
        output->start = output->end = 0;
    if (awaits_room != websocket->awaits_room) {
        websocket->awaits_room = awaits_room;
        watch(websocket, EPOLL_CTL_MOD, owner);
    }
}

/* ---- beginning and end -------------------------------------------------------------- */

static int connect_to(const char *host, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        fail("\"%s\" is not an IPv4 address", host);
    struct timeval patience = {.tv_sec = HANDSHAKE_SECONDS};
    int on = 1;
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client < 0 || setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0
        || setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0
        || connect(client, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connecting to %s:%d: %s", host, port, strerror(errno));
    return client;
}

void websocket_open(struct websocket *websocket, const char *host, uint16_t port, size_t input, size_t output)
{
    *websocket = (struct websocket){
        .socket = connect_to(host, port), .input = make_buffer(input), .output = make_buffer(output)};
    /* The key is the sample of RFC 6455, whose proper answer is known without SHA-1 in here. */
    if (dprintf(websocket->socket,
                "GET / HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                host, port) < 0)
        fail("asking for the upgrade: %s", strerror(errno));

    struct buffer *answer = &websocket->input;
    const uint8_t *blank_line;
    do {
        if (!websocket_receive(websocket))
            fail("no answer to the upgrade within %d s", HANDSHAKE_SECONDS);
        blank_line = memmem(answer->bytes, answer->end, "\r\n\r\n", 4);
    } while (!blank_line);
    size_t length = (size_t)(blank_line - answer->bytes) + 4;
    if (memcmp(answer->bytes, "HTTP/1.1 101", 12) != 0
        || !memmem(answer->bytes, length, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28))
        fail("the server refused the upgrade: %.*s", (int)length, (const char *)answer->bytes);
    answer->start = length;
}

void websocket_close(struct websocket *websocket)
{
    close(websocket->socket);
    free(websocket->input.bytes);
    free(websocket->output.bytes);
}
