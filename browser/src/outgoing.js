/** @module outgoing: the packets of one link on their way to the connection, sealed where it is encrypted. */
import { LimitExceeded } from "./errors.js";
import { cut, encodeHead } from "./packet.js";

/** @import {Session} from "./e2e.js" */

/** Encrypting takes turns of the event loop; what is put here keeps its order all the same. */
export class Outgoing {
    /** Packets that were put here. */
    packets = 0;
    /** Characters that wait to be encrypted, or for the keys. */
    unsent = 0;
    /** @type {Session | null} what seals them */
    session = null;

    #limit;
    #emit;
    #fail;
    /** @type {[kind: number, seq: number, text: string][] | null} packets that wait for the keys */
    #waiting = null;
    /** @type {Promise<void>} the end of what is being encrypted */
    #leaving = Promise.resolve();

    /** @param {number} limit @param {(frame: string) => void} emit @param {(error: unknown) => void} fail */
    constructor(limit, emit, fail) {
        this.#limit = limit;
        this.#emit = emit;
        this.#fail = fail;
    }

    /** Let packets wait, until `release`. */
    hold() {
        this.#waiting ??= [];
    }

    isHolding() {
        return this.#waiting !== null;
    }

    release() {
        const waiting = this.#waiting ?? [];
        this.#waiting = null;
        for (const [kind, seq, text] of waiting) {
            this.unsent -= text.length;
            this.packets--;
            this.put(kind, seq, text);
        }
    }

    /** @returns {Promise<void>} when everything that does not wait for the keys is written */
    written() {
        return this.#leaving;
    }

    /** The link is over; nothing is written any more. */
    close() {
        this.#waiting = null;
        this.#emit = () => {};
        this.#fail = () => {};
    }

    /** @param {number} kind @param {number} seq @param {string} text @throws {LimitExceeded} */
    put(kind, seq, text) {
        if (!this.#waiting && !this.session) {
            this.write(kind, seq, text);
            return;
        }
        if (this.unsent + text.length > this.#limit) throw new LimitExceeded("too much waits to be encrypted");
        this.packets++;
        this.unsent += text.length;
        if (this.#waiting) this.#waiting.push([kind, seq, text]);
        else if (this.session) this.#seal(this.session, kind, seq, text);
    }

    /** At once, and plain. @param {number} kind @param {number} seq @param {string} text */
    write(kind, seq, text) {
        this.packets++;
        this.#frames(kind, seq, cut(text));
    }

    /** @param {Session} session @param {number} kind @param {number} seq @param {string} text */
    #seal(session, kind, seq, text) {
        // All chunks at once; they leave in their order.
        const sealed = Promise.all(cut(text).map((chunk) => session.seal(Math.abs(seq), chunk)));
        const before = this.#leaving;
        this.#leaving = sealed.then(async (payloads) => {
            await before;
            this.unsent -= text.length;
            this.#frames(kind, seq, payloads);
        }).catch((error) => this.#fail(error));
    }

    /** @param {number} kind @param {number} seq @param {string[]} payloads */
    #frames(kind, seq, payloads) {
        payloads.forEach((payload, at) => this.#emit(encodeHead(kind, seq, at === payloads.length - 1) + payload));
    }
}
