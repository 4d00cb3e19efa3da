#define _GNU_SOURCE
#include "websocket.h"
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- frames ------------------------------------------------------------------------- */

static size_t encode_head(uint8_t *head, enum websocket_opcode opcode, size_t length, bool masked)
{
    size_t used = 0;
    int length_bytes = length < 126 ? 0 : length <= UINT16_MAX ? 2 : 8;
    head[used++] = 0x80 | (uint8_t)opcode;
    head[used++] = (masked ? 0x80 : 0) | (length_bytes == 0 ? (uint8_t)length : length_bytes == 2 ? 126 : 127);
    for (int byte = length_bytes - 1; byte >= 0; byte--)
        head[used++] = (uint8_t)(length >> (8 * byte));
    if (!masked)
        return used;
    memset(head + used, WEBSOCKET_MASK, 4);
    return used + 4;
}

void websocket_append(struct stream *stream, enum websocket_opcode opcode,
                      const uint8_t *plain, size_t plain_length, const uint8_t *masked, size_t masked_length)
{
    uint8_t head[WEBSOCKET_LONGEST_HEAD];
    size_t length = plain_length + masked_length;
    size_t head_length = encode_head(head, opcode, length, true);
    uint8_t *frame = stream_claim(stream, head_length + length);
    memcpy(frame, head, head_length);
    frame += head_length;
    for (size_t i = 0; i < plain_length; i++)
        frame[i] = plain[i] ^ WEBSOCKET_MASK;
    if (masked_length)
        memcpy(frame + plain_length, masked, masked_length);
}

void websocket_append_as_server(struct stream *stream, enum websocket_opcode opcode,
                                const uint8_t *start, size_t start_length, const uint8_t *rest, size_t rest_length)
{
    uint8_t head[WEBSOCKET_LONGEST_HEAD];
    size_t head_length = encode_head(head, opcode, start_length + rest_length, false);
    uint8_t *frame = stream_claim(stream, head_length + start_length + rest_length);
    memcpy(frame, head, head_length);
    memcpy(frame + head_length, start, start_length);
    if (rest_length)
        memcpy(frame + head_length + start_length, rest, rest_length);
}

static bool take_frame(struct buffer *input, struct frame *frame, bool masked)
{
    uint8_t *bytes = input->bytes + input->start;
    size_t available = input->end - input->start;
    if (available < 2)
        return false;
    if ((bytes[0] & 0xf0) != 0x80 || !(bytes[1] & 0x80) == masked)
        fail("a frame that is fragmented, compressed or %smasked (it starts with %02x %02x)",
             masked ? "not " : "", bytes[0], bytes[1]);

    uint8_t short_length = bytes[1] & 0x7f;
    size_t length_bytes = short_length == 126 ? 2 : short_length == 127 ? 8 : 0;
    size_t head_length = 2 + length_bytes + (masked ? 4 : 0);
    if (available < head_length)
        return false;
    uint64_t length = length_bytes ? 0 : short_length;
    for (size_t i = 2; i < 2 + length_bytes; i++)
        length = length << 8 | bytes[i];
    if (length > input->capacity - head_length)
        fail("a frame of %llu bytes, more than is expected", (unsigned long long)length);
    if (available - head_length < length)
        return false;

    if (masked)
        for (size_t i = 0; i < length; i++)
            bytes[head_length + i] ^= bytes[head_length - 4 + i % 4];
    *frame = (struct frame){.opcode = bytes[0] & 0x0f, .payload = bytes + head_length, .length = length};
    input->start += head_length + length;
    return true;
}

bool websocket_next_frame(struct stream *stream, struct frame *frame)
{
    while (take_frame(&stream->input, frame, false)) {
        if (frame->opcode == WEBSOCKET_CLOSE)
            fail("the server said goodbye");
        if (frame->opcode != WEBSOCKET_PING)
            return true;
        websocket_append(stream, WEBSOCKET_PONG, frame->payload, frame->length, NULL, 0);
    }
    return false;
}

bool websocket_next_frame_as_server(struct stream *stream, struct frame *frame)
{
    if (!take_frame(&stream->input, frame, true))
        return false;
    if (frame->opcode != WEBSOCKET_TEXT)
        fail("the client sent a frame that is no text (opcode %d)", frame->opcode);
    return true;
}

/* ---- beginning ---------------------------------------------------------------------- */

void websocket_open(struct stream *stream, const char *host, uint16_t port, size_t input, size_t output)
{
    stream_open(stream, host, port, input, output);
    /* The key is the sample of RFC 6455, whose proper answer is known without SHA-1 in here. */
    if (dprintf(stream->socket,
                "GET / HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                host, port) < 0)
        fail("asking for the upgrade: %s", strerror(errno));

    struct buffer *answer = &stream->input;
    const uint8_t *blank_line;
    do {
        if (!stream_receive(stream))
            fail("no answer to the upgrade within %d s", PATIENCE_SECONDS);
        blank_line = memmem(answer->bytes, answer->end, "\r\n\r\n", 4);
    } while (!blank_line);
    size_t length = (size_t)(blank_line - answer->bytes) + 4;
    if (memcmp(answer->bytes, "HTTP/1.1 101", 12) != 0
        || !memmem(answer->bytes, length, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28))
        fail("the server refused the upgrade: %.*s", (int)length, (const char *)answer->bytes);
    answer->start = length;
}
