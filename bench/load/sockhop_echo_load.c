/*
 * The server for sockhop clients under load: how many requests a second does one make?
 *
 * It waits for --connections clients, each of which keeps --outstanding requests under way, and
 * echoes them; it does so little for each that the client is what is measured. That the data of
 * the responses is right is the client's to check. All that a read made due leaves in one write.
 *
 * A request's time is the client's: from the write of a response until the read that brings the
 * request which took its place. The clock is read once for each read.
 */
#include "run.h"
#include "sockhop.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONGEST_LINE = 1 << 16 };

struct connection {
    struct load *load;
    struct stream stream;
    size_t searched;
    uint64_t requests;
    uint64_t *answered_ns; /* of each response, at the place its number points to */
};

struct load {
    struct run run;
    struct connection *connections;
};

static void echo(struct connection *connection, struct text line, uint64_t now)
{
    const struct options *options = &connection->load->run.options;
    const struct text end = TEXT(",\"type\":\"String\"}}");
    expect(&line, TEXT("{\"type\":\"SockhopRequest\",\"data\":{\"uuid\":\""), "a request");
    struct text uuid = take(&line, UUID_LENGTH, "the UUID of a request");
    expect(&line, TEXT("\",\"data\":\""), "the data of a request");
    struct text data = take(&line, line.length < end.length ? 0 : line.length - end.length, "data");
    expect(&line, end, "a request's type and end");

    append(&connection->stream, TEXT("{\"type\":\"SockhopResponsePacket\",\"data\":{\"uuid\":\""));
    append(&connection->stream, uuid);
    append(&connection->stream, TEXT("\",\"type\":\"String\",\"data\":\""));
    append(&connection->stream, data);
    append(&connection->stream, TEXT(",\"last\":true}}\n"));

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
    struct text line;
    while (next_line(stream, &connection->searched, &line))
        echo(connection, line, now);
    stream_flush(stream);
}

int main(int argc, char **argv)
{
    struct load load = {.run.options = parse_options(argc, argv, OUTSTANDING)};
    const struct options *options = &load.run.options;
    size_t under_way = (size_t)LONGEST_LINE * 2;
    prepare_run(&load.run);
    load.connections = allocate(options->connections, sizeof(struct connection));
    int listener = listen_on(options->host, options->port);
    for (uint32_t i = 0; i < options->connections; i++) {
        struct connection *connection = &load.connections[i];
        connection->load = &load;
        connection->answered_ns = allocate(options->outstanding, sizeof(uint64_t));
        stream_accept(&connection->stream, listener, under_way, under_way);
        stream_watch(&connection->stream, load.run.epoll, connection);
    }

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
