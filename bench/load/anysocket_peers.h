/*
 * Load for anysocket servers that echo: how many requests a second does one answer, and how long
 * does a request wait?
 *
 * It opens plain WebSocket connections, authenticates on each as an anysocket peer of its own,
 * and keeps a fixed number of requests under way on every one of them: as soon as a reply is
 * here the next request goes out (a closed loop). Every reply is matched to its request by its
 * number and compared byte for byte. Whatever was not to be expected ends the run: a server that
 * answers wrongly has no speed.
 *
 * A request is a message that comes back as it is, or with --rpc a call of the function `echo`,
 * which returns its argument.
 *
 * The generator must not be what limits the server, so it does little for each request. The
 * text is made once and for all, all requests that a read makes due leave in one write, and
 * the clock is read once for each read. A request's time runs from the moment it is due (the
 * arrival of the reply that made room for it) until the read that brings its own reply.
 *
 * With --idle each peer asks once and then only answers heartbeats: what does a peer that does
 * nothing cost the server?
 */
#ifndef ANYSOCKET_PEERS_H
#define ANYSOCKET_PEERS_H

#include <stddef.h>
#include <stdint.h>

/* How links are encrypted, for the generator that does so. Whatever fails ends the process. */
struct encryption {
    /* What one link needs; `offer` becomes the text of our SWITCH, which begins the encryption.
     * `id` is ours, and `offer` has room for LONGEST_SWITCH bytes. */
    void *(*begin)(const char *id, char *offer);
    /* The text of the server's SWITCH is here. */
    void (*agree)(void *link, const uint8_t *text, size_t length);
    /* How long the payload of a text so long is. */
    size_t (*sealed_length)(size_t length);
    /* Writes the payload of the packet with this number, masked for the WebSocket. */
    void (*seal)(void *link, uint32_t number, const uint8_t *text, size_t length, uint8_t *masked);
    /* The text of a payload, valid until the next one; `length` becomes its own. */
    const uint8_t *(*open)(void *link, uint32_t number, const uint8_t *payload, size_t *length);
    void (*end)(void *link);
};

enum { LONGEST_SWITCH = 512 };

/* The whole program. Without an encryption (NULL) everything is plain. */
int run_anysocket_peers(int argc, char **argv, const struct encryption *encryption);

#endif
