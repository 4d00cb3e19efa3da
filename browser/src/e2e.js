/**
 * @module e2e: end-to-end encryption as npm anysocket has it, on WebCrypto.
 *
 * Both sides make a key pair on P-521 (ECDH) and a nonce and tell the other in a SWITCH packet.
 * PBKDF2 is PBKDF2-HMAC-SHA256 with one iteration and 32 bytes, which is one HMAC of the salt and
 * the number 1; all strings are ASCII.
 *
 * | what            | value                                                                 |
 * | --------------- | --------------------------------------------------------------------- |
 * | secret          | the shared X coordinate in hex, its first 128 digits                  |
 * | session nonce   | PBKDF2(leader's nonce + the other's, salt `<leader's id>_0`) in hex   |
 * | key of a packet | PBKDF2(secret, salt `<session nonce>_<number without its sign>`)      |
 * | payload         | a random IV and the AES-256-CBC ciphertext, in hex                    |
 *
 * The leader is the side that began. Nothing authenticates the payload or the keys: compare the
 * fingerprints. A side that began and gets a SWITCH cannot tell, by the wire, an answer from an
 * offer that crossed its own. Between two Wirehop peers the nonces tell: their last 16 bytes are a
 * digest that says which of the two the SWITCH is.
 */
import { ProtocolError } from "./errors.js";
import { INVALID } from "./packet.js";
import { Packer, fromHex, fromLatin1, toHex } from "./packer.js";

/** @import {Bytes} from "./types.js" */

const ECDH = { name: "ECDH", namedCurve: "P-521" };
const POINT = 133;
const SECRET = 128;
const IV = 16;
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();

/** @returns {SubtleCrypto} */
function subtle() {
    // Browsers hide it from pages that came over plain http from another machine.
    const found = globalThis.crypto?.subtle;
    if (!found) throw new Error("encryption needs a secure context: https, or localhost");
    return found;
}

/** What a side says of its keys. */
export class Offer {
    /** @param {Bytes} point @param {string} nonce 64 hex digits */
    constructor(point, nonce) {
        this.point = point;
        this.nonce = nonce;
    }

    /**
     * @param {any} value of a SWITCH packet
     * @throws {ProtocolError} for anything but a nonce and a point in base64
     */
    static parse(value) {
        const { key, nonce } = value ?? {};
        if (typeof nonce !== "string" || !/^[0-9a-f]{64}$/.test(nonce)) throw bad("no nonce of 64 hex digits");
        let point;
        try {
            point = Packer.unpack(String(key));
        } catch {
            throw bad("a key that is not base64");
        }
        if (point.length !== POINT || point[0] !== 4) throw bad("no uncompressed point of P-521");
        return new Offer(point, nonce);
    }

    /** @returns {Promise<boolean>} whether a Wirehop peer began with it */
    isFirst() {
        return this.#isMarked("");
    }

    /** @param {Offer} other @returns {Promise<boolean>} whether a Wirehop peer answered `other` with it */
    answers(other) {
        return this.#isMarked(other.nonce);
    }

    /** @param {string} saidBefore */
    async #isMarked(saidBefore) {
        return this.nonce.slice(32) === (await mark(this.nonce.slice(0, 32), this.point, saidBefore));
    }
}

/** Our side of an exchange. */
export class Keys extends Offer {
    /** @param {CryptoKey} privateKey @param {Bytes} point @param {string} nonce */
    constructor(privateKey, point, nonce) {
        super(point, nonce);
        this.privateKey = privateKey;
    }

    /** New keys, to begin with or to answer `other` with. @param {Offer} [other] */
    static async make(other) {
        const pair = await subtle().generateKey(ECDH, false, ["deriveBits"]);
        const point = new Uint8Array(await subtle().exportKey("raw", pair.publicKey));
        const nonce = toHex(crypto.getRandomValues(new Uint8Array(16)));
        return new Keys(pair.privateKey, point, nonce + (await mark(nonce, point, other?.nonce ?? "")));
    }

    /** @returns {object} the value of our SWITCH packet */
    message() {
        return { type: 2, key: Packer.pack(this.point), nonce: this.nonce };
    }

    /**
     * @param {Offer} other
     * @returns {Promise<string>} what both sides know then, as the wire uses it
     * @throws {ProtocolError} for a point that is not on the curve
     */
    async secret(other) {
        try {
            const theirs = await subtle().importKey("raw", other.point, ECDH, false, []);
            const shared = await subtle().deriveBits({ name: "ECDH", public: theirs }, this.privateKey, 528);
            return toHex(shared).slice(0, SECRET);
        } catch {
            throw bad("a point that is not on P-521");
        }
    }
}

/** What is encrypted and decrypted under one secret. */
export class Session {
    #secret;
    #salt;

    /** @param {CryptoKey} secret @param {string} salt the session nonce */
    constructor(secret, salt) {
        this.#secret = secret;
        this.#salt = salt;
    }

    /** @param {string} secret @param {string} nonces the leader's and the other's @param {string} leaderId */
    static async make(secret, nonces, leaderId) {
        const salt = toHex(await pbkdf2(await hmacKey(nonces), `${leaderId}_0`));
        return new Session(await hmacKey(secret), salt);
    }

    /** @param {number} number @returns {Promise<ArrayBuffer>} the key of both directions' packets */
    keyBytes(number) {
        return pbkdf2(this.#secret, `${this.#salt}_${number}`);
    }

    /** @param {number} number */
    async #key(number) {
        const bytes = await this.keyBytes(number);
        return subtle().importKey("raw", bytes, "AES-CBC", false, ["encrypt", "decrypt"]);
    }

    /** @param {number} number @param {string} text a chunk of JSON text @returns {Promise<string>} the payload */
    async seal(number, text) {
        const iv = crypto.getRandomValues(new Uint8Array(IV));
        const key = await this.#key(number);
        const sealed = await subtle().encrypt({ name: "AES-CBC", iv }, key, ENCODER.encode(text));
        return toHex(iv) + toHex(sealed);
    }

    /**
     * @param {number} number
     * @param {string} payload
     * @returns {Promise<string>} the chunk of JSON text
     * @throws {ProtocolError} the same, whatever is wrong with it
     */
    async open(number, payload) {
        try {
            const data = fromHex(payload);
            const cipher = { name: "AES-CBC", iv: data.subarray(0, IV) };
            const text = await subtle().decrypt(cipher, await this.#key(number), data.subarray(IV));
            return DECODER.decode(text);
        } catch {
            throw undecipherable();
        }
    }
}

/**
 * What a side has that answers the other's SWITCH with `ours`.
 * @param {Keys} ours
 * @param {Offer} theirs
 * @param {string} remoteId
 */
export async function answer(ours, theirs, remoteId) {
    return Session.make(await ours.secret(theirs), theirs.nonce + ours.nonce, remoteId);
}

/**
 * What a side that began has under the other's SWITCH: the session, and another one that it may be
 * instead, which the first encrypted packet shows.
 *
 * Two Wirehop peers that both began know it; the one with the lower id leads. npm anysocket takes
 * the answer to its own offer for one to ours: then it leads.
 * @param {Keys} ours
 * @param {Offer} theirs
 * @param {string} id
 * @param {string} remoteId
 * @returns {Promise<[Session, Session | null]>}
 */
export async function agree(ours, theirs, id, remoteId) {
    const secret = await ours.secret(theirs);
    const ledByUs = await Session.make(secret, ours.nonce + theirs.nonce, id);
    if (await theirs.answers(ours)) return [ledByUs, null];
    const ledByThem = await Session.make(secret, theirs.nonce + ours.nonce, remoteId);
    if (await theirs.isFirst()) return [id < remoteId ? ledByUs : ledByThem, null];
    return [ledByUs, ledByThem];
}

/**
 * 32 hex digits of a digest of both public keys, the same on both sides.
 * @param {Offer} ours
 * @param {Offer} theirs
 */
export async function fingerprint(ours, theirs) {
    // Hex sorts as its bytes do.
    const points = [toHex(ours.point), toHex(theirs.point)].sort().join("");
    return toHex(await subtle().digest("SHA-256", fromHex(points))).slice(0, 32);
}

export function undecipherable() {
    return new ProtocolError(INVALID, "a payload that cannot be decrypted");
}

/** @param {string} detail */
function bad(detail) {
    return new ProtocolError(INVALID, detail);
}

/** @param {string} text */
function hmacKey(text) {
    return subtle().importKey("raw", ENCODER.encode(text), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
}

/** @param {CryptoKey} key @param {string} salt */
function pbkdf2(key, salt) {
    return subtle().sign("HMAC", key, ENCODER.encode(`${salt}\0\0\0\u0001`));
}

/** @param {string} nonce 32 hex digits @param {Bytes} point @param {string} saidBefore */
async function mark(nonce, point, saidBefore) {
    const parts = [fromLatin1("wirehop"), fromHex(nonce), point, fromLatin1(saidBefore)];
    const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
    let at = 0;
    for (const part of parts) {
        whole.set(part, at);
        at += part.length;
    }
    return toHex(await subtle().digest("SHA-256", whole)).slice(0, 32);
}

/** @throws {Error} where there is no cryptography */
export function canEncrypt() {
    subtle();
}
