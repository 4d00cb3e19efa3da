/** @module pending: requests that wait for a reply. */
import { ConnectionClosed, LimitExceeded, ReplyTimeout } from "./errors.js";
import { quiet } from "./promises.js";

/** By the number of the request; times are in milliseconds. */
export class Pending {
    #limit;
    /** @type {Map<number, {resolve: (value: any) => void, reject: (error: unknown) => void, deadline: number}>} */
    #waiting = new Map();

    /** @param {number} limit */
    constructor(limit) {
        this.#limit = limit;
    }

    /** @throws {LimitExceeded} when no more may wait; called before anything is sent */
    check() {
        if (this.#waiting.size >= this.#limit) throw new LimitExceeded(`${this.#limit} requests wait for a reply`);
    }

    /**
     * @param {number} seq
     * @param {number} deadline
     * @param {AbortSignal} [signal] gives it up
     * @returns {Promise<any>} the reply
     */
    add(seq, deadline, signal) {
        /** @type {() => void} */
        let giveUp = () => {};
        const reply = new Promise((resolve, reject) => {
            this.#waiting.set(seq, { resolve, reject, deadline });
            giveUp = () => {
                this.#waiting.delete(seq);
                reject(signal?.reason);
            };
        });
        if (!signal) return quiet(reply);
        signal.addEventListener("abort", giveUp, { once: true });
        return quiet(reply.finally(() => signal.removeEventListener("abort", giveUp)));
    }

    /** @param {number} seq @param {unknown} reply to that, if it still waits */
    resolve(seq, reply) {
        const request = this.#waiting.get(seq);
        this.#waiting.delete(seq);
        request?.resolve(reply);
    }

    /** Fail those whose time is over. @param {number} now @returns {number} when the next one's is */
    expire(now) {
        let next = Infinity;
        for (const [seq, { reject, deadline }] of this.#waiting) {
            if (deadline > now) {
                next = Math.min(next, deadline);
            } else {
                this.#waiting.delete(seq);
                reject(new ReplyTimeout(`no reply to packet ${seq}`));
            }
        }
        return next;
    }

    /** Fail all of them: the link is over. @param {string} reason */
    fail(reason) {
        for (const { reject } of this.#waiting.values()) reject(new ConnectionClosed(reason));
        this.#waiting.clear();
    }
}
