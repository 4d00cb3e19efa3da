/** @module transport: frames on a WebSocket. */

/** @import {Connection, WebSocketClass} from "./types.js" */

/** Close codes of the user's end, and of a remote that broke the rules. */
export const NORMAL = 1000;
export const BROKEN = 4008;

/**
 * @typedef {object} Receiver
 * @property {() => void} opened
 * @property {(frame: string) => void} received
 * @property {(detail: string) => void} broken what came is not of this wire
 * @property {() => void} lost the connection is over, or could not be made
 */

/** @implements {Connection} */
export class WebSocketConnection {
    #socket;

    /** @param {string} url @param {WebSocketClass} kind @param {Receiver} receiver */
    constructor(url, kind, receiver) {
        const socket = (this.#socket = new kind(url));
        socket.binaryType = "arraybuffer";
        socket.onopen = () => receiver.opened();
        socket.onmessage = ({ data }) => {
            if (typeof data === "string") receiver.received(data);
            else receiver.broken("a binary message");
        };
        // An error is followed by a close, and says nothing more to a page.
        socket.onerror = () => {};
        socket.onclose = () => receiver.lost();
    }

    get buffered() {
        return this.#socket.bufferedAmount;
    }

    /** @param {string} frame */
    send(frame) {
        this.#socket.send(frame);
    }

    /** @param {number} code 1000, or 3000 to 4999: others are not for pages @param {string} reason */
    close(code, reason) {
        const socket = this.#socket;
        socket.onopen = socket.onmessage = socket.onclose = null;
        // At most 123 bytes; what is cut here is in English.
        socket.close(code, reason.slice(0, 123));
    }
}

/**
 * Where a WebSocket goes.
 * @param {string} scheme "ws" or "wss"
 * @param {string} host
 * @param {number | string} port
 * @param {string} path
 * @returns {string} its URL
 */
export function urlOf(scheme, host, port, path) {
    const kind = scheme.toLowerCase();
    if (kind !== "ws" && kind !== "wss") {
        throw new TypeError(`"${scheme}" is no scheme to connect with; there are ws and wss`);
    }
    // From a page that came over https browsers let nothing else out.
    const isSecure = kind === "wss" || globalThis.location?.protocol === "https:";
    const name = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
    return new URL(path, `${isSecure ? "wss" : "ws"}://${name}:${port}/`).href;
}

/** @param {string} path @returns {string} where the page came from */
export function urlOfPage(path) {
    const { location } = globalThis;
    if (!location) throw new TypeError("there is no page here: say where to connect to");
    const url = new URL(path, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.hash = "";
    return url.href;
}
