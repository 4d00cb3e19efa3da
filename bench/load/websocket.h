/*
 * A WebSocket client for load generators: unfragmented frames, one fixed mask, buffers that are
 * allocated once. Whatever a well-behaved echo server would not do ends the process.
 */
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* With four equal bytes in the key a masked byte is the same at every place of a frame, so
     * one masked payload fits behind a head of any length. A server cannot tell. */
    WEBSOCKET_MASK = 0x5a,
    WEBSOCKET_LONGEST_HEAD = 14,
};

enum websocket_opcode { WEBSOCKET_TEXT = 1, WEBSOCKET_CLOSE = 8, WEBSOCKET_PING = 9, WEBSOCKET_PONG = 10 };

struct buffer {
    uint8_t *bytes;
    size_t start, end, capacity;
};

struct websocket {
    int socket;
    int epoll;
    bool awaits_room;
    struct buffer input, output;
};

/* Valid until the next websocket_receive(). */
struct frame {
    uint8_t opcode;
    const uint8_t *payload;
    size_t length;
};

void *allocate(size_t count, size_t size);

/* Connects and upgrades, and blocks until that is done. The two numbers are the bytes that may
 * be under way in each direction, frame heads included. */
void websocket_open(struct websocket *websocket, const char *host, uint16_t port, size_t input, size_t output);

/* From here on nothing blocks, and epoll returns `owner` for this connection. */
void websocket_watch(struct websocket *websocket, int epoll, void *owner);

/* One read. False when there is nothing: at once when watched, after some seconds before that. */
bool websocket_receive(struct websocket *websocket);

/* The next frame of what was received. Pings are answered in here and never seen outside. */
bool websocket_next_frame(struct websocket *websocket, struct frame *frame);

/* Appends a frame to the output: `plain` is masked on the way, `masked` was masked before. */
void websocket_append(struct websocket *websocket, enum websocket_opcode opcode,
                      const uint8_t *plain, size_t plain_length, const uint8_t *masked, size_t masked_length);

/* One write of all that was appended. The rest, if any, is due when epoll reports room. */
void websocket_flush(struct websocket *websocket, void *owner);

void websocket_close(struct websocket *websocket);

#endif
