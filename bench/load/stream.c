#include "stream.h"
#include "measure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    ROOM_FOR_CONTROL = 4096,
    SMALLEST_BUFFER = 1 << 16, /* a read takes what has piled up, up to this */
};

void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        fail("getrlimit: %s", strerror(errno));
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        fail("setrlimit: %s", strerror(errno));
}

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

uint8_t *stream_claim(struct stream *stream, size_t length)
{
    struct buffer *buffer = &stream->output;
    if (buffer->capacity - buffer->end < length)
        compact(buffer);
    if (buffer->capacity - buffer->end < length)
        fail("the server asks for more answers than it reads");
    uint8_t *claimed = buffer->bytes + buffer->end;
    buffer->end += length;
    return claimed;
}

/* ---- sockets ------------------------------------------------------------------------ */

bool stream_receive(struct stream *stream)
{
    struct buffer *input = &stream->input;
    compact(input);
    if (input->end == input->capacity)
        fail("%zu bytes that are no whole reply yet", input->end);
    ssize_t received = read(stream->socket, input->bytes + input->end, input->capacity - input->end);
    if (received == 0)
        fail("the server closed a connection");
    if (received < 0 && errno != EAGAIN && errno != EINTR)
        fail("reading from the server: %s", strerror(errno));
    if (received > 0)
        input->end += (size_t)received;
    return received > 0;
}

static void watch(struct stream *stream, int operation)
{
    uint32_t events = EPOLLIN | (stream->awaits_room ? (uint32_t)EPOLLOUT : 0);
    struct epoll_event event = {.events = events, .data.ptr = stream};
    if (epoll_ctl(stream->epoll, operation, stream->socket, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
}

void stream_watch(struct stream *stream, int epoll, void *owner)
{
    if (fcntl(stream->socket, F_SETFL, O_NONBLOCK) < 0)
        fail("fcntl: %s", strerror(errno));
    stream->epoll = epoll;
    stream->owner = owner;
    watch(stream, EPOLL_CTL_ADD);
}

void stream_flush(struct stream *stream)
{
    struct buffer *output = &stream->output;
    if (output->start < output->end) {
        size_t length = output->end - output->start;
        ssize_t sent = send(stream->socket, output->bytes + output->start, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            fail("writing to the server: %s", strerror(errno));
        output->start += sent > 0 ? (size_t)sent : 0;
    }
    bool awaits_room = output->start < output->end;
    if (!awaits_room)
        output->start = output->end = 0;
    if (awaits_room != stream->awaits_room) {
        stream->awaits_room = awaits_room;
        watch(stream, EPOLL_CTL_MOD);
    }
}

/* ---- beginning and end -------------------------------------------------------------- */

static struct sockaddr_in address_of(const char *host, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        fail("\"%s\" is not an IPv4 address", host);
    return address;
}

static bool set_flag(int socket, int level, int name)
{
    int on = 1;
    return setsockopt(socket, level, name, &on, sizeof on) == 0;
}

static bool set_patience(int socket)
{
    struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    return setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0;
}

static int connect_to(const char *host, uint16_t port)
{
    struct sockaddr_in address = address_of(host, port);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client < 0 || !set_flag(client, IPPROTO_TCP, TCP_NODELAY) || !set_patience(client)
        || connect(client, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connecting to %s:%d: %s", host, port, strerror(errno));
    return client;
}

static int connect_to_path(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        fail("\"%s\" is too long for a Unix socket", path);
    strcpy(address.sun_path, path);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client < 0 || !set_patience(client)
        || connect(client, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connecting to %s: %s", path, strerror(errno));
    return client;
}

int listen_on(const char *host, uint16_t port)
{
    struct sockaddr_in address = address_of(host, port);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || !set_flag(listener, SOL_SOCKET, SO_REUSEADDR) || !set_patience(listener)
        || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, SOMAXCONN) < 0)
        fail("listening on %s:%d: %s", host, port, strerror(errno));
    return listener;
}

static int accept_from(int listener)
{
    int client = accept(listener, NULL, NULL);
    if (client < 0 || !set_flag(client, IPPROTO_TCP, TCP_NODELAY))
        fail("waiting for a connection: %s", strerror(errno));
    return client;
}

static void make_stream(struct stream *stream, int socket, size_t input, size_t output)
{
    *stream = (struct stream){.socket = socket, .input = make_buffer(input), .output = make_buffer(output)};
}

void stream_open(struct stream *stream, const char *host, uint16_t port, size_t input, size_t output)
{
    make_stream(stream, connect_to(host, port), input, output);
}

void stream_open_path(struct stream *stream, const char *path, size_t input, size_t output)
{
    make_stream(stream, connect_to_path(path), input, output);
}

void stream_accept(struct stream *stream, int listener, size_t input, size_t output)
{
    make_stream(stream, accept_from(listener), input, output);
}

void stream_close(struct stream *stream)
{
    close(stream->socket);
    free(stream->input.bytes);
    free(stream->output.bytes);
}
