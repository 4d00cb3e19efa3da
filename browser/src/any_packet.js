/** @module any_packet: what a peer said. */
import { LINK, encode } from "./packet.js";

/** @import {AnyPeer} from "./peer.js" */

/** One message: `seq` its number, `peer` its sender, `msg` its value. */
export class AnyPacket {
    #isReply;

    /** @internal @param {AnyPeer} peer @param {number} seq @param {any} msg @param {boolean} isReply */
    constructor(peer, seq, msg, isReply) {
        this.peer = peer;
        this.seq = seq;
        /** @type {any} */
        this.msg = msg;
        this.#isReply = isReply;
    }

    /**
     * Answer this message; the answer is on its way at the call. A reply cannot be replied to: that
     * does nothing.
     * @param {unknown} message any JSON value
     * @returns {Promise<void>} as that of `peer.send`
     * @throws {TypeError} for what JSON cannot say
     */
    reply(message) {
        const text = encode(message);
        return this.#isReply ? Promise.resolve() : this.peer._reply(LINK, this.seq, text);
    }
}
