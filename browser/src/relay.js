/**
 * @module relay: peers that are reached through another peer.
 *
 * This side *asks*, or is the *other* who is told; a page is no relay itself. There is no AUTH on
 * such a link, so an end knows of the other what the relay says: encrypt it end to end, and compare
 * fingerprints. An end takes frames only from the relay through which it reaches their sender.
 */
import { ConnectionClosed, LimitExceeded, RemoteError } from "./errors.js";
import { Internal, encodeForwardHead, isId, parseForward } from "./packet.js";

/** @import {AnyPeer} from "./peer.js" */
/** @import {AnySocket} from "./socket.js" */
/** @import {Connection} from "./types.js" */

/** The reason when the other end, or the relay, ended a link. */
export const CLOSED = "Proxy Connection Closed";

/**
 * The connection of a relayed peer: frames in FORWARD frames of its relay's connection.
 * @implements {Connection}
 */
export class Passage {
    #relay;
    #id;
    #head;

    /** @param {AnyPeer} relay @param {string} id */
    constructor(relay, id) {
        this.#relay = relay;
        this.#id = id;
        this.#head = encodeForwardHead(id, relay._socket.id);
    }

    get buffered() {
        return this.#relay._connection.buffered;
    }

    /** @param {string} frame */
    send(frame) {
        if (this.#relay.reason === null) this.#relay._connection.send(this.#head + frame);
    }

    /** Tell the relay; what it tells the other end knows no reason. */
    close() {
        this.#relay._reached.delete(this.#id);
        this.#relay._tell({ type: Internal.PROXY, action: "unproxy", id: this.#id });
    }
}

/** A FORWARD frame came; what nobody may send is dropped. @param {AnyPeer} relay @param {string} frame */
export function carry(relay, frame) {
    const parsed = parseForward(frame);
    const reached = parsed?.to === relay._socket.id ? relay._reached.get(parsed.from) : undefined;
    if (parsed && reached) reached._received(parsed.nested);
    else relay._protocol.dropped++;
}

/** `relay` says that somebody can be reached through it, or no longer. @param {AnyPeer} relay @param {any} message */
export function told(relay, message) {
    const socket = relay._socket;
    const { id, action } = message;
    const known = relay._reached.get(id);
    const isOver = known !== undefined && known.reason !== null;
    if (relay.isProxy() || !isId(id) || id === socket.id || id === relay.id || isOver) {
        relay._protocol.dropped++;
    } else if (action === "disconnected") {
        if (known) end(known);
    } else if (action === "connected") {
        const old = socket.peers.get(id);
        if (old && !old._isLeaving) return;
        if (!known && relay._reached.size >= relay._rules.maxRelayed) {
            relay._protocol.dropped++;
            return;
        }
        const peer = known ?? reach(relay, id);
        const welcome = () => {
            if (peer.reason !== null) return;
            socket._introduce(peer);
            peer._release();
        };
        if (old) old.once("disconnected", welcome);
        else welcome();
    }
}

/** The connection of `peer` has ended, and with it whatever needed it. @param {AnyPeer} peer */
export function lost(peer) {
    for (const reached of [...peer._reached.values()]) end(reached);
}

/**
 * Ask a relay for a peer: see `AnySocket.proxy`.
 * @param {AnySocket} socket
 * @param {string} id
 * @param {string} through
 * @returns {Promise<AnyPeer>}
 */
export async function ask(socket, id, through) {
    const relay = socket.peers.get(through);
    if (id === socket.id || id === through) throw new TypeError("Cannot proxy loopback!");
    if (!isId(id)) throw new TypeError("an AnySocket id has 32 lowercase hex digits");
    if (!relay) throw new TypeError(`${through} is no peer of this socket`);
    if (relay.isProxy()) throw new TypeError("Cannot proxy via a proxy!");
    // Who leaves still has something to say, or is still being listened to.
    if (relay._reached.get(id)?.reason) await relay._reached.get(id)?.disconnect();
    const old = socket.peers.get(id);
    if (old?._isLeaving) await new Promise((resolve) => old.once("disconnected", resolve));
    const known = relay._reached.get(id);
    if (socket.hasPeer(id)) {
        if (known) return known;
        throw new TypeError(`${id} is a peer of this socket already`);
    }
    if (!known && relay._reached.size >= relay._rules.maxRelayed) {
        throw new LimitExceeded(`${relay._reached.size} peers are reached through ${through} already`);
    }
    // Made before the relay answers: the other end may speak at once, and its frames wait in it.
    const peer = known ?? reach(relay, id);
    let answer;
    try {
        answer = (await relay._ask({ type: Internal.PROXY, action: "proxy", id })).msg;
    } catch (error) {
        if (socket.peers.get(id) !== peer) peer.disconnect();
        throw error;
    }
    // It may have asked for us meanwhile.
    if (socket.peers.get(id) === peer) return peer;
    if (peer.reason !== null) throw new ConnectionClosed(peer.reason);
    if (answer?.ok !== true) {
        end(peer);
        throw new RemoteError("Cannot proxy!", null, 403);
    }
    socket._introduce(peer);
    // Whoever awaits gets to add listeners before the first message.
    setTimeout(() => peer._release());
    return peer;
}

/** A peer that nobody knows of yet; what comes from it is held. @param {AnyPeer} relay @param {string} id */
function reach(relay, id) {
    const peer = relay._socket._newPeer({ ...relay._rules, heartbeatEnabled: false }, relay);
    peer.id = id;
    peer._connection = new Passage(relay, id);
    peer._protocol.acceptRelayed(id, performance.now());
    relay._reached.set(id, peer);
    return peer;
}

/** The relay, or the other end, has ended the link. @param {AnyPeer} reached */
function end(reached) {
    reached._relay?._reached.delete(reached.id);
    reached._lost(CLOSED);
}
