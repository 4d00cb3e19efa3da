/** @module sequence: sequence numbers, the next of ours and which of the remote's were seen. */
import { LAST_SEQ } from "./packet.js";

/** How many numbers may be missing at once: npm lets small packets overtake those of many chunks. */
const GAP = 4096;

/** A number up to this far back is old; one further back is a jump ahead. */
const BEHIND = 1 << 20;

/** @param {number} seq @returns {number} */
export function following(seq) {
    return seq >= LAST_SEQ ? 1 : seq + 1;
}

/** Lets each number of the remote pass once, in nearly any order: nothing can be replayed. */
export class Seen {
    #next = 1;
    /** @type {Set<number>} */
    #missing = new Set();

    /** @param {number} seq above 0 @returns {boolean} whether it is new; it is old from then on */
    isNew(seq) {
        if (seq === this.#next) {
            this.#next = following(seq);
            return true;
        }
        if (this.#missing.delete(seq)) return true;
        const ahead = (((seq - this.#next) % LAST_SEQ) + LAST_SEQ) % LAST_SEQ;
        if (ahead >= LAST_SEQ - BEHIND) return false;
        for (let back = Math.min(ahead, GAP); back > 0; back--) {
            this.#missing.add(((seq - back - 1 + LAST_SEQ) % LAST_SEQ) + 1);
        }
        for (const oldest of this.#missing) {
            if (this.#missing.size <= GAP) break;
            this.#missing.delete(oldest);
        }
        this.#next = following(seq);
        return true;
    }
}
