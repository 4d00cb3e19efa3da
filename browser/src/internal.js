/** @module internal: packets that the library sends for itself: calls, clocks, proxies. */
import * as clock from "./clock.js";
import { ProtocolError } from "./errors.js";
import { Internal } from "./packet.js";
import * as relay from "./relay.js";
import * as rpc from "./rpc.js";

/** @import {AnyPeer} from "./peer.js" */

/**
 * Answer an INTERNAL packet.
 * @param {AnyPeer} peer
 * @param {any} message
 * @param {(answer: object) => void} reply
 */
export function take(peer, message, reply) {
    const kind = message?.type;
    if (kind === Internal.RPC) {
        rpc.serve(peer._socket._rpc, message, peer).then(reply).catch((error) => peer._break(error));
    } else if (kind === Internal.SYNCED_TIME) {
        reply(clock.answer(message));
    } else if (kind === Internal.NETWORK) {
        relay.told(peer, message);
    } else if (kind === Internal.PROXY) {
        // Nobody is reached through a page.
        if (message.action === "proxy") reply({ ok: false });
    } else if (kind !== Internal.RPC_NOTIFY) {
        peer._break(new ProtocolError("Invalid internal message"));
    }
}
