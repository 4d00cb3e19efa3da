/** @module partials: packets of which the last chunk is missing. */
import { ProtocolError } from "./errors.js";
import { INVALID } from "./packet.js";

/** @import {Rules} from "./types.js" */

/** The open packets of one remote, by their number. */
export class Partials {
    #rules;
    /** @type {Map<number, {kind: number, size: number, chunks: string[], deadline: number}>} */
    #open = new Map();

    /** @param {Rules} rules */
    constructor(rules) {
        this.#rules = rules;
    }

    /**
     * Add a chunk to its packet.
     * @param {boolean} last
     * @param {number} kind
     * @param {number} seq
     * @param {string} text
     * @param {number} limit characters of a packet
     * @param {number} now
     * @returns {string | null} the packet's text when it was the last one
     * @throws {ProtocolError}
     */
    collect(last, kind, seq, text, limit, now) {
        let partial = this.#open.get(seq);
        if (!partial) {
            if (!last && this.#open.size >= this.#rules.maxOpenPackets) {
                throw new ProtocolError(INVALID, "too many packets are open");
            }
            partial = { kind, size: 0, chunks: [], deadline: 0 };
            if (!last) this.#open.set(seq, partial);
        }
        if (partial.kind !== kind) throw new ProtocolError(INVALID, "a packet changed its type");
        partial.chunks.push(text);
        partial.size += text.length;
        partial.deadline = now + this.#rules.packetTimeout;
        if (partial.size > limit) throw new ProtocolError(INVALID, `a message of ${partial.size} characters`);
        if (!last) return null;
        this.#open.delete(seq);
        return partial.chunks.join("");
    }

    /** @returns {number} when the first of them is given up */
    deadline() {
        return Math.min(Infinity, ...[...this.#open.values()].map(({ deadline }) => deadline));
    }

    clear() {
        this.#open.clear();
    }
}
