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

/**
 * Lets each number of the remote pass once, in nearly any order: nothing can be replayed. What is
 * missing is kept as ranges, so that a jump costs no more than a step, whoever makes many.
 */
export class Seen {
    /** Counted on where the numbers begin again, so that what is later is always higher. */
    #next = 1;
    /** @type {[number, number][]} the first of a range, and the first behind it; the oldest first */
    #ranges = [];
    #missing = 0;

    /** @param {number} seq above 0 @returns {boolean} whether it is new; it is old from then on */
    isNew(seq) {
        const ahead = (((seq - this.#next) % LAST_SEQ) + LAST_SEQ) % LAST_SEQ;
        if (ahead === 0) {
            this.#next++;
            return true;
        }
        if (this.#fill(this.#next + ahead - LAST_SEQ)) return true;
        if (ahead >= LAST_SEQ - BEHIND) return false;
        this.#jump(ahead);
        return true;
    }

    /** @param {number} at @returns {boolean} whether it was missing; it is not from then on */
    #fill(at) {
        const index = this.#ranges.findIndex(([start, end]) => start <= at && at < end);
        if (index < 0) return false;
        const [start, end] = this.#ranges[index];
        /** @type {[number, number][]} */
        const rest = [[start, at], [at + 1, end]];
        this.#ranges.splice(index, 1, ...rest.filter((range) => range[0] < range[1]));
        this.#missing--;
        return true;
    }

    /** @param {number} ahead how many are left out; of all that are missing the oldest are forgotten */
    #jump(ahead) {
        const after = this.#next + ahead;
        this.#ranges.push([after - Math.min(ahead, GAP), after]);
        this.#missing += Math.min(ahead, GAP);
        this.#next = after + 1;
        while (this.#missing > GAP) {
            const oldest = this.#ranges[0];
            const forgotten = Math.min(this.#missing - GAP, oldest[1] - oldest[0]);
            oldest[0] += forgotten;
            this.#missing -= forgotten;
            if (oldest[0] === oldest[1]) this.#ranges.shift();
        }
    }
}
