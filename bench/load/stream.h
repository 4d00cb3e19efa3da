/*
 * A connection for load generators (TCP, or a Unix socket), with buffers that are allocated once.
 * Whatever a well-behaved server would not do ends the process.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PATIENCE_SECONDS = 5 }; /* of a read that blocks, as it does before stream_watch() */

struct buffer {
    uint8_t *bytes;
    size_t start, end, capacity;
};

struct stream {
    int socket;
    int epoll;
    bool awaits_room;
    void *owner;
    struct buffer input, output;
};

void *allocate(size_t count, size_t size);

/* As many connections as the system allows this process at all. */
void raise_descriptor_limit(void);

/* Connects, and blocks until that is done. The two numbers are the bytes that may be under way
 * in each direction. */
void stream_open(struct stream *stream, const char *host, uint16_t port, size_t input, size_t output);

/* The same for a Unix socket. */
void stream_open_path(struct stream *stream, const char *path, size_t input, size_t output);

/* A socket that listens, for generators that are the server of a client under load. */
int listen_on(const char *host, uint16_t port);

/* The next connection that it gets, for which this blocks some seconds. */
void stream_accept(struct stream *stream, int listener, size_t input, size_t output);

/* From here on nothing blocks, and epoll returns the stream. `owner` is whose it is. */
void stream_watch(struct stream *stream, int epoll, void *owner);

/* One read. False when there is nothing: at once when watched, after some seconds before that. */
bool stream_receive(struct stream *stream);

/* Room for so many bytes at the end of the output. */
uint8_t *stream_claim(struct stream *stream, size_t length);

/* One write of all that was appended. The rest, if any, is due when epoll reports room. */
void stream_flush(struct stream *stream);

void stream_close(struct stream *stream);

#endif
