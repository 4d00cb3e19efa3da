/** @module promises: promises that fail without noise. */
import { ConnectionClosed } from "./errors.js";

/**
 * A promise that tells whoever awaits it, and nobody else.
 * @template T
 * @param {Promise<T>} promise
 */
export function quiet(promise) {
    promise.catch(() => {});
    return promise;
}

/** @param {string} reason @returns {Promise<any>} */
export function closed(reason) {
    return quiet(Promise.reject(new ConnectionClosed(reason)));
}

export function deferred() {
    /** @type {() => void} */
    let resolve = () => {};
    /** @type {(error: Error) => void} */
    let reject = () => {};
    /** @type {Promise<void>} */
    const promise = new Promise((yes, no) => {
        resolve = yes;
        reject = no;
    });
    return { promise: quiet(promise), resolve, reject };
}
