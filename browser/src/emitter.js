/** @module emitter: events, as `on`, `once` and `off`. */

/**
 * @template {{[event: string]: any[]}} Events
 */
export class Emitter {
    /** @type {Map<PropertyKey, {listener: Function, once: boolean}[]>} */
    #listeners = new Map();

    /**
     * Call `listener` at each event of that name, until `signal` aborts.
     * @template {keyof Events} K
     * @param {K} event
     * @param {(...values: Events[K]) => void} listener
     * @param {{signal?: AbortSignal, once?: boolean}} [options]
     * @returns {this}
     */
    on(event, listener, { signal, once = false } = {}) {
        if (typeof listener !== "function") throw new TypeError("a listener is a function");
        if (signal?.aborted) return this;
        // A new array: one that is being emitted to does not change.
        this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), { listener, once }]);
        signal?.addEventListener("abort", () => this.off(event, listener), { once: true });
        return this;
    }

    /**
     * Call `listener` at the next event of that name.
     * @template {keyof Events} K
     * @param {K} event
     * @param {(...values: Events[K]) => void} listener
     * @param {{signal?: AbortSignal}} [options]
     * @returns {this}
     */
    once(event, listener, options) {
        return this.on(event, listener, { ...options, once: true });
    }

    /**
     * Call `listener` no more.
     * @template {keyof Events} K
     * @param {K} event
     * @param {(...values: Events[K]) => void} listener
     * @returns {this}
     */
    off(event, listener) {
        const left = (this.#listeners.get(event) ?? []).filter((one) => one.listener !== listener);
        this.#listeners.set(event, left);
        return this;
    }

    /**
     * A listener that throws is reported as an uncaught error is, and the others are called.
     * @template {keyof Events} K
     * @param {K} event
     * @param {Events[K]} values
     * @returns {boolean} whether anybody listened
     */
    emit(event, ...values) {
        const listeners = this.#listeners.get(event) ?? [];
        for (const { listener, once } of listeners) {
            if (once) this.off(event, /** @type {any} */ (listener));
            try {
                listener(...values);
            } catch (error) {
                report(error);
            }
        }
        return listeners.length > 0;
    }
}

/** @param {unknown} error of the user's code */
export function report(error) {
    // Node has no reportError.
    if (typeof reportError === "function") reportError(error);
    else console.error(error);
}
