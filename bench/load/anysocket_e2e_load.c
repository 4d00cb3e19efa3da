/*
 * Load generator for anysocket servers that echo, with links that are encrypted end to end (see
 * anysocket_peers.h). It begins the encryption on each link, and every reply is decrypted before
 * it is compared.
 *
 * Strings are ASCII, PBKDF2 is PBKDF2-HMAC-SHA256 with one iteration and 32 bytes: one HMAC of the
 * salt and a block number. A payload is an IV and the AES-256-CBC ciphertext, in hex.
 *
 *   secret         the first 128 hex digits of the X coordinate that ECDH on P-521 gives
 *   session nonce  PBKDF2(our nonce + the server's, salt: our id + "_0") in hex
 *   key            PBKDF2(secret, salt: session nonce + "_" + the packet's number)
 */
#include "anysocket_peers.h"
#include "anysocket.h"
#include "measure.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 16,
    KEY = 32,
    POINT = 133,
    POINT_DIGITS = 180, /* in base64 */
    SHARED = 66,
    SECRET_DIGITS = 128,
    NONCE_DIGITS = 64,
    LONGEST_SALT = 96,
};

struct link {
    char id[PEER_ID_LENGTH + 1];
    char nonce[NONCE_DIGITS + 1];
    EVP_PKEY *keys;
    EVP_MAC_CTX *mac; /* keyed with the secret */
    char session_nonce[NONCE_DIGITS + 1];
};

/* One cipher for all links: it gets another key for each packet. */
static EVP_CIPHER_CTX *cipher;
static struct {
    uint8_t *bytes;
    size_t capacity;
} scratch;
static uint8_t masked_digits[256][2];
static uint8_t values[256]; /* of hex digits */

/* ---- small things ------------------------------------------------------------------- */

static void check(bool succeeded, const char *what)
{
    if (!succeeded)
        fail("libcrypto: %s", what);
}

static void prepare(void)
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned byte = 0; byte < 256; byte++) {
        masked_digits[byte][0] = (uint8_t)digits[byte >> 4] ^ WEBSOCKET_MASK;
        masked_digits[byte][1] = (uint8_t)digits[byte & 15] ^ WEBSOCKET_MASK;
    }
    memset(values, 0xff, sizeof values);
    for (uint8_t value = 0; value < 16; value++)
        values[(uint8_t)digits[value]] = value;
    cipher = EVP_CIPHER_CTX_new();
    /* The implementation is looked up once; after this only keys and IVs change. */
    check(cipher && EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, NULL, NULL, 1), "AES-256-CBC");
}

static uint8_t *room_for(size_t length)
{
    if (scratch.capacity < length) {
        free(scratch.bytes);
        scratch.bytes = allocate(length, 1);
        scratch.capacity = length;
    }
    return scratch.bytes;
}

static void write_hex(char *text, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        sprintf(text + 2 * i, "%02x", bytes[i]);
}

static EVP_MAC_CTX *make_mac(const char *password)
{
    static EVP_MAC *hmac;
    if (!hmac)
        hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    OSSL_PARAM digest[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);
    check(mac && EVP_MAC_init(mac, (const uint8_t *)password, strlen(password), digest), "HMAC");
    return mac;
}

/* PBKDF2; without a key EVP_MAC_init() begins again with the one it has. */
static void derive(EVP_MAC_CTX *mac, const char *salt, size_t length, uint8_t key[KEY])
{
    static const uint8_t block_number[] = {0, 0, 0, 1};
    size_t written;
    check(EVP_MAC_init(mac, NULL, 0, NULL) && EVP_MAC_update(mac, (const uint8_t *)salt, length)
              && EVP_MAC_update(mac, block_number, sizeof block_number)
              && EVP_MAC_final(mac, key, &written, KEY) && written == KEY, "HMAC");
}

static void packet_key(struct link *link, uint32_t number, uint8_t key[KEY])
{
    char salt[LONGEST_SALT];
    int length = snprintf(salt, sizeof salt, "%s_%u", link->session_nonce, number);
    derive(link->mac, salt, (size_t)length, key);
}

/* ---- the exchange of keys ----------------------------------------------------------- */

static void *begin_link(const char *id, char *offer)
{
    if (!cipher)
        prepare();
    struct link *link = allocate(1, sizeof *link);
    strcpy(link->id, id);

    uint8_t nonce[NONCE_DIGITS / 2];
    check(RAND_bytes(nonce, sizeof nonce) == 1, "random bytes");
    write_hex(link->nonce, nonce, sizeof nonce);

    link->keys = EVP_EC_gen("P-521");
    uint8_t *point;
    check(link->keys && EVP_PKEY_get1_encoded_public_key(link->keys, &point) == POINT, "keys on P-521");
    char base64[POINT_DIGITS + 1];
    EVP_EncodeBlock((uint8_t *)base64, point, POINT);
    OPENSSL_free(point);
    snprintf(offer, LONGEST_SWITCH, "{\"type\":2,\"key\":\"%s\",\"nonce\":\"%s\"}", base64, link->nonce);
    return link;
}

/* A member of the server's SWITCH, which is a string of this length without escapes. */
static const char *member(const char *text, const char *start, size_t length)
{
    const char *found = strstr(text, start);
    if (!found || strcspn(found + strlen(start), "\"") != length)
        fail("a SWITCH without %s and %zu characters: %s", start, length, text);
    return found + strlen(start);
}

static EVP_PKEY *public_key_of(EVP_PKEY *ours, const char *base64)
{
    uint8_t point[POINT_DIGITS / 4 * 3];
    EVP_PKEY *theirs = EVP_PKEY_new();
    check(EVP_DecodeBlock(point, (const uint8_t *)base64, POINT_DIGITS) == sizeof point
              && EVP_PKEY_copy_parameters(theirs, ours)
              && EVP_PKEY_set1_encoded_public_key(theirs, point, POINT), "the server's key");
    return theirs;
}

static void shared_secret(EVP_PKEY *ours, EVP_PKEY *theirs, char secret[2 * SHARED + 1])
{
    uint8_t shared[SHARED];
    size_t length = sizeof shared;
    EVP_PKEY_CTX *exchange = EVP_PKEY_CTX_new(ours, NULL);
    check(exchange && EVP_PKEY_derive_init(exchange) == 1 && EVP_PKEY_derive_set_peer(exchange, theirs) == 1
              && EVP_PKEY_derive(exchange, shared, &length) == 1 && length == SHARED, "ECDH");
    EVP_PKEY_CTX_free(exchange);
    write_hex(secret, shared, SHARED);
    secret[SECRET_DIGITS] = '\0';
}

static void agree(void *owner, const uint8_t *payload, size_t length)
{
    struct link *link = owner;
    char text[LONGEST_SWITCH] = "";
    if (length >= sizeof text)
        fail("a SWITCH of %zu bytes", length);
    memcpy(text, payload, length);

    char nonces[2 * NONCE_DIGITS + 1], salt[LONGEST_SALT];
    snprintf(nonces, sizeof nonces, "%s%.*s", link->nonce, NONCE_DIGITS,
             member(text, "\"nonce\":\"", NONCE_DIGITS));
    int salt_length = snprintf(salt, sizeof salt, "%s_0", link->id);
    uint8_t session_nonce[KEY];
    EVP_MAC_CTX *mac = make_mac(nonces);
    derive(mac, salt, (size_t)salt_length, session_nonce);
    EVP_MAC_CTX_free(mac);
    write_hex(link->session_nonce, session_nonce, KEY);

    EVP_PKEY *theirs = public_key_of(link->keys, member(text, "\"key\":\"", POINT_DIGITS));
    char secret[2 * SHARED + 1];
    shared_secret(link->keys, theirs, secret);
    EVP_PKEY_free(theirs);
    link->mac = make_mac(secret);
}

static void end_link(void *owner)
{
    struct link *link = owner;
    EVP_MAC_CTX_free(link->mac);
    EVP_PKEY_free(link->keys);
    free(link);
}

/* ---- packets ------------------------------------------------------------------------ */

static size_t padded(size_t length)
{
    return (length / BLOCK + 1) * BLOCK;
}

static size_t sealed_length(size_t length)
{
    return 2 * (BLOCK + padded(length));
}

/* IVs are cut from blocks of randomness: nothing is asked of the system for each packet. */
static void fresh_iv(uint8_t iv[BLOCK])
{
    static uint8_t random[256 * BLOCK];
    static size_t used = sizeof random;
    if (used == sizeof random) {
        check(RAND_bytes(random, sizeof random) == 1, "random bytes");
        used = 0;
    }
    memcpy(iv, random + used, BLOCK);
    used += BLOCK;
}

static void seal(void *link, uint32_t number, const uint8_t *text, size_t length, uint8_t *masked)
{
    uint8_t key[KEY];
    uint8_t *iv = room_for(BLOCK + padded(length)), *encrypted = iv + BLOCK;
    int written, rest;
    packet_key(link, number, key);
    fresh_iv(iv);
    check(EVP_CipherInit_ex(cipher, NULL, NULL, key, iv, 1)
              && EVP_CipherUpdate(cipher, encrypted, &written, text, (int)length)
              && EVP_CipherFinal_ex(cipher, encrypted + written, &rest), "encryption");
    for (size_t i = 0; i < BLOCK + padded(length); i++)
        memcpy(masked + 2 * i, masked_digits[iv[i]], 2);
}

static const uint8_t *open_payload(void *link, uint32_t number, const uint8_t *payload, size_t *length)
{
    size_t size = *length / 2;
    uint8_t *iv = room_for(size), *text = iv + BLOCK, key[KEY], wrong = 0;
    if (*length % (2 * BLOCK) || size < 2 * BLOCK)
        fail("a payload of %zu hex digits", *length);
    for (size_t i = 0; i < size; i++) {
        uint8_t high = values[payload[2 * i]], low = values[payload[2 * i + 1]];
        wrong |= high | low;
        iv[i] = (uint8_t)(high << 4 | low);
    }
    if (wrong > 0x0f)
        fail("a payload that is not hex");

    int written, rest;
    packet_key(link, number, key);
    if (!EVP_CipherInit_ex(cipher, NULL, NULL, key, iv, 0)
        || !EVP_CipherUpdate(cipher, text, &written, text, (int)(size - BLOCK))
        || !EVP_CipherFinal_ex(cipher, text + written, &rest))
        fail("packet %u cannot be decrypted", number);
    *length = (size_t)(written + rest);
    return text;
}

int main(int argc, char **argv)
{
    static const struct encryption end_to_end = {
        .begin = begin_link,
        .agree = agree,
        .sealed_length = sealed_length,
        .seal = seal,
        .open = open_payload,
        .end = end_link,
    };
    return run_anysocket_peers(argc, argv, &end_to_end);
}
