/**
 * @module packet: the layout of a packet, what the characters of a WebSocket text message mean.
 *
 * | chars | content                                                            |
 * | ----- | ------------------------------------------------------------------ |
 * | 0     | `1` the last or only chunk, `2` more chunks with this number follow |
 * | 1     | packet type, one digit                                             |
 * | 2-5   | sequence number, signed, big endian, each byte as one character    |
 * | 6-    | a chunk of the packet's JSON text                                  |
 *
 * A FORWARD frame begins with `6`, then come the ids of its receiver and of its sender, 16
 * characters each; the rest is a frame of the link between these two.
 */
import { ProtocolError } from "./errors.js";
import { hexToLatin1, latin1ToHex, toHex } from "./packer.js";

export const AUTH = 1;
export const INTERNAL = 2;
export const LINK = 3;
export const SWITCH = 4;
export const HEARTBEAT = 5;
export const FORWARD = 6;

/** The `type` member of an INTERNAL packet. */
export const Internal = Object.freeze({ NETWORK: 1, PROXY: 2, RPC: 3, RPC_NOTIFY: 4, SYNCED_TIME: 5 });

/** UTF-16 units of JSON text in one frame. */
export const CHUNK = 1_048_576;

export const INVALID = "Invalid Packet!";

/** After this number comes 1; zero is never used. */
export const LAST_SEQ = 0x7fffffff;

/** @param {unknown} value @returns {value is string} whether it is 32 lowercase hex digits */
export function isId(value) {
    return typeof value === "string" && /^[0-9a-f]{32}$/.test(value);
}

/** @returns {string} a UUID (version 4) without dashes */
export function newId() {
    // Not crypto.randomUUID: pages that came over plain http have none.
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    return toHex(bytes);
}

/** @param {number} kind @param {number} seq @param {boolean} [last] @returns {string} */
export function encodeHead(kind, seq, last = true) {
    const digits = String.fromCharCode(seq >>> 24, (seq >>> 16) & 255, (seq >>> 8) & 255, seq & 255);
    return (last ? "1" : "2") + kind + digits;
}

/**
 * @param {string} frame
 * @returns {{last: boolean, kind: number, seq: number}}
 * @throws {ProtocolError} for what no peer sends
 */
export function parseHead(frame) {
    const flag = frame[0];
    const kind = "12345".indexOf(frame[1] ?? " ") + 1;
    if ((flag !== "1" && flag !== "2") || !kind) {
        throw new ProtocolError(INVALID, "no packet starts like this");
    }
    let seq = 0;
    for (let at = 2; at < 6; at++) {
        const byte = frame.charCodeAt(at);
        // A frame that is too short has NaN there.
        if (!(byte < 256)) throw new ProtocolError(INVALID, "no sequence number");
        seq = (seq << 8) | byte;
    }
    if (!seq) throw new ProtocolError(INVALID, "sequence number 0");
    return { last: flag === "1", kind, seq };
}

/** @param {string} text @returns {string[]} at least one; none ends within a surrogate pair */
export function cut(text) {
    const chunks = [];
    let start = 0;
    while (text.length - start > CHUNK) {
        const unit = text.charCodeAt(start + CHUNK - 1);
        const end = start + CHUNK - (unit >= 0xd800 && unit < 0xdc00 ? 1 : 0);
        chunks.push(text.slice(start, end));
        start = end;
    }
    chunks.push(text.slice(start));
    return chunks;
}

/** @param {string} to @param {string} from @returns {string} what stands before a frame to relay */
export function encodeForwardHead(to, from) {
    return "6" + hexToLatin1(to + from);
}

/**
 * @param {string} frame
 * @returns {{to: string, from: string, nested: string} | null} null for what names no ids
 */
export function parseForward(frame) {
    const ids = frame.slice(1, 33);
    // eslint-disable-next-line no-control-regex -- every byte may stand there
    if (!/^[\u0000-\u00ff]{32}$/.test(ids)) return null;
    const hex = latin1ToHex(ids);
    return { to: hex.slice(0, 32), from: hex.slice(32), nested: frame.slice(33) };
}

/**
 * @param {unknown} value
 * @returns {string} JSON
 * @throws {TypeError} for what JSON cannot say
 */
export function encode(value) {
    const text = value === undefined ? "{}" : JSON.stringify(value);
    if (text === undefined) throw new TypeError(`JSON cannot say a ${typeof value}`);
    return text;
}
