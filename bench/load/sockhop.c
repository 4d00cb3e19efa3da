#include "sockhop.h"
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum {
    NUMBER_DIGITS = 8,
    SHOWN = 200, /* bytes of a line that was not expected */
};

/* ---- values --------------------------------------------------------------------------- */

void make_uuid(uint8_t uuid[UUID_LENGTH])
{
    uint8_t random[12];
    char text[UUID_LENGTH + 1];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        fail("getrandom: %s", strerror(errno));
    snprintf(text, sizeof text, "00000000-%02x%02x-4%x%02x-%x%x%02x-%02x%02x%02x%02x%02x%02x",
             random[0], random[1], random[2] & 15, random[3], 8 | (random[4] & 3), random[4] >> 4,
             random[5], random[6], random[7], random[8], random[9], random[10], random[11]);
    memcpy(uuid, text, UUID_LENGTH);
}

void number_uuid(uint8_t uuid[UUID_LENGTH], uint32_t number)
{
    for (int digit = NUMBER_DIGITS - 1; digit >= 0; digit--, number >>= 4)
        uuid[digit] = (uint8_t)"0123456789abcdef"[number & 15];
}

uint32_t number_of_uuid(const uint8_t *uuid)
{
    uint32_t number = 0;
    for (int digit = 0; digit < NUMBER_DIGITS; digit++) {
        uint8_t character = uuid[digit];
        if (character >= '0' && character <= '9')
            number = number << 4 | (uint32_t)(character - '0');
        else if (character >= 'a' && character <= 'f')
            number = number << 4 | (uint32_t)(character - 'a' + 10);
        else
            fail("\"%.*s\" is no UUID of ours", UUID_LENGTH, (const char *)uuid);
    }
    return number;
}

void make_payload(uint8_t *payload, size_t size)
{
    static const char letters[] = "The quick brown fox jumps over the lazy dog 0123456789, ";
    for (size_t i = 0; i < size; i++)
        payload[i] = (uint8_t)letters[i % (sizeof letters - 1)];
    payload[0] = payload[size - 1] = '"';
}

/* ---- lines ---------------------------------------------------------------------------- */

bool next_line(struct stream *stream, size_t *searched, struct text *line)
{
    struct buffer *input = &stream->input;
    const uint8_t *begin = input->bytes + input->start;
    size_t length = input->end - input->start;
    const uint8_t *end = memchr(begin + *searched, '\n', length - *searched);
    *searched = end ? 0 : length;
    if (!end)
        return false;
    *line = (struct text){begin, (size_t)(end - begin)};
    input->start += line->length + 1;
    return true;
}

struct text take(struct text *line, size_t length, const char *what)
{
    if (line->length < length)
        fail("%s was expected, not \"%.*s\"", what, (int)line->length, (const char *)line->bytes);
    struct text taken = {line->bytes, length};
    line->bytes += length;
    line->length -= length;
    return taken;
}

void expect(struct text *line, struct text expected, const char *what)
{
    if (line->length < expected.length || memcmp(line->bytes, expected.bytes, expected.length) != 0)
        fail("%s was expected, not \"%.*s\"", what,
             (int)(line->length < SHOWN ? line->length : SHOWN), (const char *)line->bytes);
    take(line, expected.length, what);
}

void append(struct stream *stream, struct text text)
{
    memcpy(stream_claim(stream, text.length), text.bytes, text.length);
}
