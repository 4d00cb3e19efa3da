/** @module packer: bytes as text, and text as bytes. */

const BLOCK = 0x8000;

/** @param {Uint8Array} bytes */
function latin1(bytes) {
    let text = "";
    // As many arguments as every engine takes.
    for (let at = 0; at < bytes.length; at += BLOCK) {
        text += String.fromCharCode(...bytes.subarray(at, at + BLOCK));
    }
    return text;
}

/** How binary travels in JSON: standard base64 with padding. RPC uses it for you. */
export const Packer = Object.freeze({
    /**
     * @param {ArrayBuffer | ArrayBufferView} data
     * @returns {string} its bytes as base64
     */
    pack(data) {
        return btoa(latin1(toBytes(data)));
    },

    /**
     * @param {string} text base64; missing padding is forgiven
     * @returns {Uint8Array<ArrayBuffer>}
     * @throws {DOMException} for text that is not base64
     */
    unpack(text) {
        return fromLatin1(atob(text));
    },
});

/** @param {unknown} value @returns {value is ArrayBuffer | ArrayBufferView} */
export function isBinary(value) {
    return value instanceof ArrayBuffer || ArrayBuffer.isView(value);
}

/** @param {ArrayBuffer | ArrayBufferView} data @returns {Uint8Array} */
export function toBytes(data) {
    return data instanceof ArrayBuffer
        ? new Uint8Array(data)
        : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** @param {string} text each character one byte @returns {Uint8Array<ArrayBuffer>} */
export function fromLatin1(text) {
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
    return bytes;
}

const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** @param {ArrayBuffer | Uint8Array} data @returns {string} lowercase hex */
export function toHex(data) {
    const bytes = toBytes(data);
    let text = "";
    for (let at = 0; at < bytes.length; at++) text += DIGITS[bytes[at]];
    return text;
}

/**
 * @param {string} text hex, in any case
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {RangeError} for text that is not hex
 */
export function fromHex(text) {
    const bytes = new Uint8Array(text.length >> 1);
    if (text.length % 2 || /[^0-9a-f]/i.test(text)) throw new RangeError("not hex");
    for (let at = 0; at < bytes.length; at++) bytes[at] = parseInt(text.substr(2 * at, 2), 16);
    return bytes;
}

/** @param {string} hex @returns {string} each byte one character */
export function hexToLatin1(hex) {
    return latin1(fromHex(hex));
}

/** @param {string} text each character one byte @returns {string} */
export function latin1ToHex(text) {
    return toHex(fromLatin1(text));
}
