/** @module reconnect: connect again, with growing delays, when a link was lost. */

/** @import {ReconnectOptions} from "./types.js" */

/** Milliseconds that a link must have lasted for the next wait to be a short one again. */
const STEADY = 5000;

/**
 * What is reported before each wait.
 * @typedef {object} Reconnecting
 * @property {string} url
 * @property {number} attempt from 1 on
 * @property {number} delay milliseconds until then
 * @property {string} reason why the link, or the attempt before, ended
 */

export class Reconnect {
    #url;
    #connect;
    #report;
    #minDelay;
    #maxDelay;
    #attempts;
    #attempt = 0;
    #since = 0;
    #isConnecting = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #timer;
    #wake = () => this.now();

    /**
     * @param {string} url
     * @param {ReconnectOptions} options
     * @param {() => Promise<unknown>} connect
     * @param {(news: Reconnecting) => void} report
     */
    constructor(url, { minDelay = 250, maxDelay = 10_000, attempts = Infinity }, connect, report) {
        this.#url = url;
        this.#minDelay = minDelay;
        this.#maxDelay = maxDelay;
        this.#attempts = attempts;
        this.#connect = connect;
        this.#report = report;
        globalThis.addEventListener?.("online", this.#wake);
    }

    /** A link was made. @param {number} now */
    made(now) {
        this.#since = now;
    }

    /** Wait and connect again. @param {string} reason @param {number} now @returns {boolean} false for no more */
    lost(reason, now) {
        if (this.#since && now - this.#since >= STEADY) this.#attempt = 0;
        this.#since = 0;
        if (this.#attempt >= this.#attempts) return false;
        const longest = Math.min(this.#maxDelay, this.#minDelay * 2 ** this.#attempt++);
        // Half of it by chance: the pages of a server that restarts do not all come at once.
        const delay = longest / 2 + (Math.random() * longest) / 2;
        this.#timer = setTimeout(() => this.now(), delay);
        this.#report({ url: this.#url, attempt: this.#attempt, delay, reason });
        return true;
    }

    /** Connect now if a wait is on; the browser may know that the network is back. */
    now() {
        if (this.#timer === undefined || this.#isConnecting) return;
        clearTimeout(this.#timer);
        this.#timer = undefined;
        this.#isConnecting = true;
        this.#connect().catch(() => {}).finally(() => {
            this.#isConnecting = false;
        });
    }

    /** No more. */
    stop() {
        clearTimeout(this.#timer);
        this.#timer = undefined;
        globalThis.removeEventListener?.("online", this.#wake);
    }
}
