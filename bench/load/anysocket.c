#include "anysocket.h"
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* Each byte of the number is one character, and from U+0080 on UTF-8 needs two bytes for one. */
size_t encode_packet_head(uint8_t *head, enum packet_type type, int32_t seq)
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

struct packet decode_packet(const struct frame *frame)
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

int32_t following_seq(int32_t seq)
{
    return seq == INT32_MAX ? 1 : seq + 1;
}

void write_peer_id(char id[PEER_ID_LENGTH + 1])
{
    uint8_t bytes[PEER_ID_LENGTH / 2];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        fail("getrandom: %s", strerror(errno));
    bytes[6] = 0x40 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    for (size_t i = 0; i < sizeof bytes; i++)
        sprintf(id + 2 * i, "%02x", bytes[i]);
}

size_t write_auth(char text[LONGEST_AUTH], const char *id)
{
    return (size_t)snprintf(text, LONGEST_AUTH, "{\"id\":\"%s\"}", id);
}
