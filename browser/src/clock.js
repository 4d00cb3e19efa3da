/** @module clock: the clock of a remote, as NTP would measure it with one exchange. */
import { ProtocolError } from "./errors.js";
import { Internal } from "./packet.js";

/**
 * The remote's clock, all in milliseconds.
 * @typedef {object} SyncedTime
 * @property {number} time what it says now, since 1970
 * @property {number} rtt the round trip of the exchange
 * @property {number} offset the remote's clock minus ours
 */

/** @param {any} request @returns {object} the reply to a SYNCED_TIME request */
export function answer(request) {
    return { o: request.time, t: Date.now() };
}

/**
 * @param {(request: object) => Promise<any>} ask sends an INTERNAL request
 * @returns {Promise<{rtt: number, offset: number}>}
 */
export async function measure(ask) {
    const sent = Date.now();
    const began = performance.now();
    const reply = await ask({ type: Internal.SYNCED_TIME, time: sent });
    const rtt = performance.now() - began;
    const there = reply?.t;
    if (typeof there !== "number") throw new ProtocolError("Invalid internal message", "a clock without a time");
    // The remote read its clock half a round trip after we sent, on ours.
    return { rtt, offset: there - (sent + rtt / 2) };
}
