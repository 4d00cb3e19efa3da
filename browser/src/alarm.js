/** @module alarm: one timer for everything that a peer waits for. */

/** The longest delay that timers know. */
const LONGEST = 0x7fffffff;

export class Alarm {
    #ring;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #timer;
    #due = Infinity;

    /** @param {(now: number) => void} ring looks what is due, and says by when to ring again */
    constructor(ring) {
        this.#ring = ring;
    }

    /** Ring then, if not before: frames put deadlines off too often to move the timer along. @param {number} due */
    by(due) {
        if (due >= this.#due) return;
        this.#due = due;
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => {
            this.#due = Infinity;
            this.#ring(performance.now());
        }, Math.min(Math.max(due - performance.now(), 0), LONGEST));
    }

    stop() {
        clearTimeout(this.#timer);
    }
}
