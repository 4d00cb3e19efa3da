/** @module stats: what went over a link so far. */

/** @import {AnyPeer} from "./peer.js" */

/**
 * What went over a link so far; the counts only grow.
 * @typedef {object} Stats
 * @property {number} packetsIn messages, replies, calls, heartbeats and the wire's own
 * @property {number} packetsOut likewise, also those that are still queued
 * @property {number} queued bytes and characters that are not sent yet
 * @property {number | null} lag the round trip of the last heartbeat, in milliseconds
 */

/** @param {AnyPeer} peer @returns {Stats} */
export function statsOf(peer) {
    const { packetsIn, out } = peer._protocol;
    return { packetsIn, packetsOut: out.packets, queued: queuedOf(peer), lag: peer.lag };
}

/** @param {AnyPeer} peer @returns {number} */
export function queuedOf(peer) {
    return peer.reason === null ? peer._protocol.out.unsent + (peer._connection?.buffered ?? 0) : 0;
}
