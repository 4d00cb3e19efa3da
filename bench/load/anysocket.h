/*
 * The packets of anysocket, one to a WebSocket text frame. Whatever a well-behaved peer would not
 * send under load ends the process.
 */
#ifndef ANYSOCKET_H
#define ANYSOCKET_H

#include "websocket.h"

#include <stddef.h>
#include <stdint.h>

enum {
    LONGEST_PACKET_HEAD = 10,    /* two digits and four characters of one or two bytes */
    LARGEST_PAYLOAD = 1 << 20,   /* more does not fit into one packet and needs chunks */
    PEER_ID_LENGTH = 32,
    LONGEST_AUTH = 64,
};

enum packet_type { AUTH = '1', INTERNAL = '2', LINK = '3', SWITCH = '4', HEARTBEAT = '5' };

struct packet {
    uint8_t type;
    int32_t seq;
    const uint8_t *payload;
    size_t length;
};

size_t encode_packet_head(uint8_t *head, enum packet_type type, int32_t seq);

struct packet decode_packet(const struct frame *frame);

/* The number of the packet after the one with this number. */
int32_t following_seq(int32_t seq);

/* A version 4 UUID without its dashes: nobody takes two peers of one id. */
void write_peer_id(char id[PEER_ID_LENGTH + 1]);

/* The JSON text of an AUTH packet; returns its length. */
size_t write_auth(char text[LONGEST_AUTH], const char *id);

#endif
