/*
 * Load generator for HTTP/1.1 servers that answer "Hello World": how many requests a second does
 * one answer, and how long does a request wait?
 *
 * It keeps its connections alive and --pipeline requests under way on each: they leave in one
 * write, and once the last of them is answered the next ones leave (a closed loop). Every
 * response is checked: its status, and its body byte for byte, whether it came with its length or
 * in chunks. Whatever was not to be expected ends the run: a server that answers wrongly has no
 * speed.
 *
 * The generator must not be what limits the server: the requests are written down once and for
 * all, of a head only what says where its body ends is looked at, and the clock is read once for
 * each read. A request's time runs from the moment it is due (the arrival of the last response
 * before it) until the read that brings the end of its own response.
 *
 * With --headers 1 a request has twelve more headers, which are those of a browser. With --idle
 * each connection asks once and then does nothing: what does it cost the server?
 */
#define _GNU_SOURCE
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char BODY[] = "Hello World";

enum {
    BODY_LENGTH = sizeof BODY - 1,
    LONGEST_REQUEST = 2048,
    LONGEST_NUMBER = 15, /* digits of a length: no 64-bit number overflows */
};

static const char BROWSER_HEADERS[] =
    "Connection: keep-alive\r\n"
    "sec-ch-ua: \"Not)A;Brand\";v=\"8\", \"Chromium\";v=\"138\", \"Google Chrome\";v=\"138\"\r\n"
    "sec-ch-ua-mobile: ?0\r\n"
    "sec-ch-ua-platform: \"Linux\"\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/138.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7\r\n"
    "Sec-Fetch-Site: none\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-US,en;q=0.9\r\n";

struct connection {
    struct load *load;
    struct stream stream;
    uint32_t unanswered;
    uint64_t due_ns;
};

struct load {
    struct run run;
    uint8_t *requests; /* as many as are written together */
    size_t request_length;
    struct connection *connections;
};

/* What is left to read of the input. */
struct cursor {
    const uint8_t *at, *end;
};

/* Without the CRLF at its end. */
struct text {
    const char *start;
    size_t length;
};

struct head {
    bool is_chunked, has_length;
    uint64_t length;
};

/* ---- responses ---------------------------------------------------------------------- */

/* All that reads a response returns false when it goes on in what has not arrived yet. */
static bool read_line(struct cursor *cursor, struct text *line)
{
    const uint8_t *feed = memchr(cursor->at, '\n', (size_t)(cursor->end - cursor->at));
    if (!feed)
        return false;
    if (feed == cursor->at || feed[-1] != '\r')
        fail("a line without CRLF at its end");
    *line = (struct text){.start = (const char *)cursor->at, .length = (size_t)(feed - cursor->at) - 1};
    cursor->at = feed + 1;
    return true;
}

static bool is(struct text text, const char *expected)
{
    return text.length == strlen(expected) && strncasecmp(text.start, expected, text.length) == 0;
}

static struct text trimmed(struct text text)
{
    while (text.length && (*text.start == ' ' || *text.start == '\t'))
        text = (struct text){.start = text.start + 1, .length = text.length - 1};
    while (text.length && (text.start[text.length - 1] == ' ' || text.start[text.length - 1] == '\t'))
        text.length--;
    return text;
}

static uint64_t number(struct text text, unsigned base)
{
    uint64_t value = 0;
    if (!text.length || text.length > LONGEST_NUMBER)
        fail("a length that is none: \"%.*s\"", (int)text.length, text.start);
    for (size_t i = 0; i < text.length; i++) {
        char digit = text.start[i];
        unsigned worth = digit >= '0' && digit <= '9' ? (unsigned)(digit - '0')
                         : (digit | 32) >= 'a' && (digit | 32) <= 'f' ? (unsigned)((digit | 32) - 'a') + 10
                         : base;
        if (worth >= base)
            fail("a length that is none: \"%.*s\"", (int)text.length, text.start);
        value = value * base + worth;
    }
    return value;
}

static void read_header(struct text line, struct head *head)
{
    const char *colon = memchr(line.start, ':', line.length);
    if (!colon)
        fail("a header without a colon: \"%.*s\"", (int)line.length, line.start);
    struct text name = {.start = line.start, .length = (size_t)(colon - line.start)};
    struct text value = {.start = colon + 1, .length = line.length - name.length - 1};
    if (is(name, "content-length")) {
        if (head->has_length)
            fail("a response with two lengths");
        head->has_length = true;
        head->length = number(trimmed(value), 10);
    } else if (is(name, "transfer-encoding")) {
        if (!is(trimmed(value), "chunked"))
            fail("a transfer encoding that is not chunked: \"%.*s\"", (int)value.length, value.start);
        head->is_chunked = true;
    }
}

static bool read_head(struct cursor *cursor, struct head *head)
{
    struct text line;
    if (!read_line(cursor, &line))
        return false;
    if (line.length < 12 || memcmp(line.start, "HTTP/1.1 200", 12) != 0 || (line.length > 12 && line.start[12] != ' '))
        fail("not HTTP/1.1 with status 200, but \"%.*s\"", (int)line.length, line.start);
    do {
        if (!read_line(cursor, &line))
            return false;
        if (line.length)
            read_header(line, head);
    } while (line.length);
    if (head->is_chunked == head->has_length)
        fail("a response must have a length or be chunked, and not both");
    return true;
}

/* `before`: bytes of the body that were checked already. */
static bool read_piece(struct cursor *cursor, uint64_t length, size_t before)
{
    if (length > BODY_LENGTH - before)
        fail("a body of more than %d bytes", BODY_LENGTH);
    if ((uint64_t)(cursor->end - cursor->at) < length)
        return false;
    if (memcmp(cursor->at, BODY + before, length) != 0)
        fail("a body that is not \"%s\"", BODY);
    cursor->at += length;
    return true;
}

static bool read_chunks(struct cursor *cursor)
{
    struct text line;
    size_t done = 0;
    for (uint64_t length = 1; length;) {
        if (!read_line(cursor, &line))
            return false;
        const char *extension = memchr(line.start, ';', line.length);
        struct text size = {.start = line.start, .length = extension ? (size_t)(extension - line.start) : line.length};
        length = number(trimmed(size), 16);
        if (length && (!read_piece(cursor, length, done) || !read_line(cursor, &line)))
            return false;
        if (length && line.length)
            fail("a chunk that is longer than it said");
        done += length;
    }
    if (done != BODY_LENGTH)
        fail("a body of %zu bytes, not %d", done, BODY_LENGTH);
    do {
        if (!read_line(cursor, &line))
            return false;
    } while (line.length);
    return true;
}

static bool read_response(struct cursor *cursor)
{
    struct head head = {0};
    if (!read_head(cursor, &head))
        return false;
    if (head.is_chunked)
        return read_chunks(cursor);
    if (head.length != BODY_LENGTH)
        fail("a body of %llu bytes, not %d", (unsigned long long)head.length, BODY_LENGTH);
    return read_piece(cursor, head.length, 0);
}

/* One that is not there as a whole is read again from its start when more has arrived. */
static bool take_response(struct buffer *input)
{
    struct cursor cursor = {.at = input->bytes + input->start, .end = input->bytes + input->end};
    if (!read_response(&cursor))
        return false;
    input->start = (size_t)(cursor.at - input->bytes);
    return true;
}

/* ---- requests ----------------------------------------------------------------------- */

static void queue_requests(struct connection *connection, uint32_t count, uint64_t due_ns)
{
    struct load *load = connection->load;
    size_t length = load->request_length * count;
    memcpy(stream_claim(&connection->stream, length), load->requests, length);
    connection->unanswered = count;
    connection->due_ns = due_ns;
    load->run.under_way += count;
}

static void handle_input(struct stream *stream)
{
    struct connection *connection = stream->owner;
    struct load *load = connection->load;
    if (!stream_receive(stream))
        return;
    uint64_t arrived_ns = now_ns();
    while (connection->unanswered && take_response(&stream->input)) {
        record_reply(&load->run.measurement, arrived_ns - connection->due_ns);
        connection->unanswered--;
        load->run.under_way--;
    }
    if (connection->unanswered)
        return;
    if (stream->input.start != stream->input.end)
        fail("%zu bytes that no request asked for", stream->input.end - stream->input.start);
    if (load->run.measurement.phase != DRAINING)
        queue_requests(connection, load->run.options.outstanding, arrived_ns);
    stream_flush(stream);
}

/* ---- the run ------------------------------------------------------------------------ */

static void make_requests(struct load *load)
{
    const struct options *options = &load->run.options;
    char request[LONGEST_REQUEST];
    int length = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: %s:%d\r\n%s\r\n",
                          options->host, options->port, options->headers ? BROWSER_HEADERS : "");
    if (length < 0 || (size_t)length >= sizeof request)
        fail("--host is too long");
    load->request_length = (size_t)length;
    load->requests = allocate(options->outstanding, load->request_length);
    for (uint32_t i = 0; i < options->outstanding; i++)
        memcpy(load->requests + i * load->request_length, request, load->request_length);
}

static void begin(struct load *load)
{
    const struct options *options = &load->run.options;
    prepare_run(&load->run);
    make_requests(load);
    load->connections = allocate(options->connections, sizeof(struct connection));
    for (uint32_t i = 0; i < options->connections; i++) {
        struct connection *connection = &load->connections[i];
        connection->load = load;
        stream_open(&connection->stream, options->host, options->port, 0,
                    load->request_length * options->outstanding);
        stream_watch(&connection->stream, load->run.epoll, connection);
    }

    start_phases(&load->run.measurement, options);
    for (uint32_t i = 0; i < options->connections; i++) {
        queue_requests(&load->connections[i], first_requests(&load->run), now_ns());
        stream_flush(&load->connections[i].stream);
    }
}

static void finish(struct load *load)
{
    for (uint32_t i = 0; i < load->run.options.connections; i++)
        stream_close(&load->connections[i].stream);
    free(load->connections);
    free(load->requests);
}

int main(int argc, char **argv)
{
    struct load load = {.run.options = parse_options(argc, argv, PIPELINE | HEADERS | IDLE)};
    load.run.options.size = BODY_LENGTH;
    begin(&load);
    run_load(&load.run, handle_input);
    finish(&load);
    report_run(&load.run);
    return 0;
}
