/** @module life: whether the remote is still there. Times are in milliseconds. */

/** @import {Rules} from "./types.js" */

export class Life {
    /** When to ask, or to give up. */
    due;

    #rules;
    #unanswered = 0;
    /** @type {number | null} */
    #askedAt = null;

    /** @param {Rules} rules @param {number} now the remote has until `authTimeout` to say who it is */
    constructor(rules, now) {
        this.#rules = rules;
        this.due = now + rules.authTimeout;
    }

    /** Any frame is a sign of life. @param {number} now */
    seen(now) {
        this.#unanswered = 0;
        this.#wait(now);
    }

    /** A ping goes out. @param {number} now */
    asked(now) {
        this.#unanswered++;
        this.#askedAt = now;
        this.#wait(now);
    }

    /** A pong came. @param {number} now @returns {number | null} the round trip; null if nobody asked */
    answered(now) {
        const askedAt = this.#askedAt;
        this.#askedAt = null;
        return askedAt === null ? null : now - askedAt;
    }

    /** @returns {boolean} whether too many pings were not answered */
    isOver() {
        return this.#unanswered >= this.#rules.heartbeatsMaxMissed;
    }

    /** @param {number} now */
    #wait(now) {
        this.due = now + (this.#rules.heartbeatEnabled ? this.#rules.heartbeatInterval : Infinity);
    }
}
