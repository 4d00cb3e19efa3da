/*
 * The lines of sockhop, as its requester and its responder write them to the letter: JSON text
 * with its members in one order. Reading by comparison instead of parsing keeps the generators
 * quicker than what they measure; a line of another shape ends them.
 */
#ifndef SOCKHOP_H
#define SOCKHOP_H

#include "stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UUID_LENGTH = 36 };

/* A part of a line; its bytes belong to somebody else. */
struct text {
    const uint8_t *bytes;
    size_t length;
};

/* For literals. */
#define TEXT(literal) ((struct text){(const uint8_t *)(literal), sizeof(literal) - 1})

/* A version 4 UUID whose first eight digits are left for a number. */
void make_uuid(uint8_t uuid[UUID_LENGTH]);
void number_uuid(uint8_t uuid[UUID_LENGTH], uint32_t number);
uint32_t number_of_uuid(const uint8_t *uuid);

/* A JSON string of `size` bytes, its quotes included. */
void make_payload(uint8_t *payload, size_t size);

/* The next line that is whole, without its end. `searched` is the stream's own, and counts the
 * bytes in which no end was found. */
bool next_line(struct stream *stream, size_t *searched, struct text *line);

/* Cuts from the front what is expected there; else ends the process. */
void expect(struct text *line, struct text expected, const char *what);
struct text take(struct text *line, size_t length, const char *what);

void append(struct stream *stream, struct text text);

#endif
