/*
 * WebSocket frames on a stream of load generators: unfragmented ones, with one fixed mask.
 * Whatever a well-behaved echo server would not do ends the process.
 */
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include "stream.h"

enum {
    /* With four equal bytes in the key a masked byte is the same at every place of a frame, so
     * one masked payload fits behind a head of any length. A server cannot tell. */
    WEBSOCKET_MASK = 0x5a,
    WEBSOCKET_LONGEST_HEAD = 14,
};

enum websocket_opcode { WEBSOCKET_TEXT = 1, WEBSOCKET_CLOSE = 8, WEBSOCKET_PING = 9, WEBSOCKET_PONG = 10 };

/* Valid until the next stream_receive(). */
struct frame {
    uint8_t opcode;
    const uint8_t *payload;
    size_t length;
};

/* Connects and upgrades, and blocks until that is done. The two numbers are the bytes that may
 * be under way in each direction, frame heads included. */
void websocket_open(struct stream *stream, const char *host, uint16_t port, size_t input, size_t output);

/* The next frame of what was received. Pings are answered in here and never seen outside. */
bool websocket_next_frame(struct stream *stream, struct frame *frame);

/* Appends a frame to the output: `plain` is masked on the way, `masked` was masked before. */
void websocket_append(struct stream *stream, enum websocket_opcode opcode,
                      const uint8_t *plain, size_t plain_length, const uint8_t *masked, size_t masked_length);

/* The two for generators that are the server of a client under load. A client sends nothing but
 * texts then; its bytes are unmasked where they are. */
bool websocket_next_frame_as_server(struct stream *stream, struct frame *frame);
void websocket_append_as_server(struct stream *stream, enum websocket_opcode opcode,
                                const uint8_t *start, size_t start_length, const uint8_t *rest, size_t rest_length);

#endif
