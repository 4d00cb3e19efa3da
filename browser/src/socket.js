/** @module socket: one identity, and the peers that it is connected to. */
import { Emitter, report } from "./emitter.js";
import { ConnectionClosed, LOCAL_CLOSED, ProtocolError, REMOTE_CLOSED } from "./errors.js";
import { isId, newId } from "./packet.js";
import { Packer } from "./packer.js";
import { AnyPeer } from "./peer.js";
import { Reconnect } from "./reconnect.js";
import * as relay from "./relay.js";
import * as rpc from "./rpc.js";
import { NORMAL, WebSocketConnection, urlOf, urlOfPage } from "./transport.js";

/** @import {AnyPacket} from "./any_packet.js" */
/** @import {Reconnecting} from "./reconnect.js" */
/** @import {ConnectOptions, Rules} from "./types.js" */

/** @type {Rules} */
const DEFAULTS = {
    authTimeout: 5000,
    e2eTimeout: 5000,
    replyTimeout: 30_000,
    heartbeatEnabled: true,
    heartbeatInterval: 5000,
    heartbeatsMaxMissed: 2,
    maxMessageSize: 16 << 20,
    maxOpenPackets: 64,
    packetTimeout: 30_000,
    maxPendingReplies: 65_536,
    maxRelayed: 1024,
    highWater: 1 << 20,
    sendLimit: 64 << 20,
};

/**
 * @typedef {object} SocketOptions
 * @property {string} [id] 32 lowercase hex digits (a new one)
 * @property {(packet: {id: string, auth?: any}) => boolean | Promise<boolean>} [onAuth]
 * @property {() => unknown} [authPacket]
 * @property {object} [rpc] what `setRPC` takes
 */

/**
 * @typedef {object} Kept
 * @property {Reconnect} reconnect
 * @property {AbortController} stop gives up connecting
 * @property {boolean} isLost whether the link was made and lost since
 * @property {AnyPeer | null} peer of the link, once it was made
 */

/**
 * A node in the network, with the id that its peers know it by.
 *
 * Events: `connected(peer)`, `message(packet)`, `e2e(peer)`, `heartbeat(peer)`,
 * `disconnected(peer, reason)`, and `reconnecting(news)` before each wait for a lost link.
 * @extends {Emitter<{
 *   connected: [peer: AnyPeer],
 *   message: [packet: AnyPacket],
 *   e2e: [peer: AnyPeer],
 *   heartbeat: [peer: AnyPeer],
 *   disconnected: [peer: AnyPeer, reason: string],
 *   reconnecting: [news: Reconnecting],
 * }>}
 */
export class AnySocket extends Emitter {
    static Packer = Packer;

    /** @internal @type {object} what peers may call */
    _rpc = {};

    /** @type {Map<string, AnyPeer>} */
    #peers = new Map();
    /** @type {Set<AnyPeer>} also those that are not authenticated yet */
    #links = new Set();
    /** @type {Map<string, Kept>} links that are made again, by URL */
    #kept = new Map();

    /** @param {SocketOptions} [options] */
    constructor({ id = newId(), onAuth, authPacket, rpc: functions } = {}) {
        super();
        if (!isId(id)) throw new TypeError("an AnySocket id has 32 lowercase hex digits");
        this.id = id;
        if (onAuth) this.onAuth = onAuth;
        if (authPacket) this.authPacket = authPacket;
        if (functions) this.setRPC(functions);
    }

    // --- what the user may override

    /**
     * Whether this remote may be a peer; only true passes. Everyone may, unless you say otherwise.
     * @param {{id: string, auth?: any}} packet
     * @returns {boolean | Promise<boolean>}
     */
    // eslint-disable-next-line no-unused-vars -- the argument is for those who override it
    onAuth(packet) {
        return true;
    }

    /** What our side shows to the other's `onAuth`. @returns {unknown} any JSON value, or undefined */
    authPacket() {
        return undefined;
    }

    // --- peers

    /** @returns {ReadonlyMap<string, AnyPeer>} the peers that are connected now, by id */
    get peers() {
        return this.#peers;
    }

    /** @param {string} id @returns {boolean} whether such a peer is connected, directly or through another */
    hasPeer(id) {
        return this.#peers.has(id);
    }

    /** @param {string} id @returns {boolean} whether such a peer is connected by a connection of its own */
    hasDirectPeer(id) {
        return this.#peers.get(id)?.isProxy() === false;
    }

    /**
     * Register the functions that peers may call. They get the arguments of the call and, last, the
     * calling peer; `this` is the object that holds them. They may be async. What begins with an
     * underscore cannot be called.
     * @param {object} functions an object, nested as deep as you like
     */
    setRPC(functions) {
        rpc.check(functions);
        this._rpc = functions;
    }

    /**
     * Send a message to every peer, at the call.
     * @param {unknown} message any JSON value
     * @param {boolean} [awaitReply]
     * @returns {Promise<(AnyPacket | void)[]>} all replies, if they are awaited
     */
    broadcast(message, awaitReply = false) {
        const sent = Promise.all([...this.#peers.values()].map((peer) => peer.send(message, awaitReply)));
        sent.catch(() => {});
        return sent;
    }

    // --- connecting

    /**
     * Connect to another AnySocket:
     * `connect()` to where the page came from, `connect("wss://host/path")`, or
     * `connect("ws", "127.0.0.1", 3000)`; with options last. On a page that came over https, "ws"
     * is wss.
     *
     * A link that is lost later is made again, unless `peer.disconnect()` or `stop()` ended it or
     * `reconnect` is false: each wait is a `reconnecting` event, and the new link has a peer of its
     * own and is a `connected` event.
     * @overload
     * @param {ConnectOptions} [options]
     * @returns {Promise<AnyPeer>} the peer, when both sides are authenticated; rejected with
     *   ConnectionClosed, whose message is the reason, or with the signal's reason
     * @overload
     * @param {string} url
     * @param {ConnectOptions} [options]
     * @returns {Promise<AnyPeer>}
     * @overload
     * @param {string} scheme "ws" or "wss"
     * @param {string} host
     * @param {number | string} port
     * @param {ConnectOptions} [options]
     * @returns {Promise<AnyPeer>}
     */
    /**
     * @param {any} [first]
     * @param {any} [second]
     * @param {any} [port]
     * @param {any} [last]
     * @returns {Promise<AnyPeer>}
     */
    async connect(first, second, port, last) {
        const isSeeds = typeof second === "string";
        /** @type {ConnectOptions} */
        const options = (isSeeds ? last : typeof first === "string" ? second : first) ?? {};
        const path = options.path ?? "/";
        const url = isSeeds ? urlOf(first, second, port, path) : typeof first === "string" ? first : urlOfPage(path);
        const { signal, reconnect = true } = options;
        signal?.throwIfAborted();
        // Whoever connects now does not want to wait for the next attempt.
        if (this.#kept.get(url)?.isLost) this.#forget(url);
        if (!reconnect || this.#kept.has(url)) return this.#connect(url, options, signal);
        const stop = new AbortController();
        /** @type {Kept} */
        const kept = {
            stop,
            isLost: false,
            peer: null,
            reconnect: new Reconnect(
                url,
                reconnect === true ? {} : reconnect,
                () => this.#connect(url, options, stop.signal),
                (news) => this.emit("reconnecting", news),
            ),
        };
        this.#kept.set(url, kept);
        signal?.addEventListener("abort", () => {
            stop.abort(signal.reason);
            // A link that was made stays, but is not made again.
            if (this.#kept.get(url) === kept) this.#forget(url);
        }, { once: true });
        try {
            return await this.#connect(url, options, stop.signal);
        } catch (error) {
            if (this.#kept.get(url) === kept) this.#forget(url);
            throw error;
        }
    }

    /**
     * Disconnect every peer, and connect to none again.
     * @returns {Promise<void>} when that is done; the socket may connect again afterwards
     */
    async stop() {
        for (const url of [...this.#kept.keys()]) this.#forget(url);
        const links = [...this.#links].sort((one, other) => Number(other.isProxy()) - Number(one.isProxy()));
        await Promise.all(links.map((peer) => peer.disconnect(LOCAL_CLOSED)));
    }

    /**
     * Reach a peer of one of our peers through it.
     * @param {string} peerID
     * @param {string} throughPeerID
     * @returns {Promise<AnyPeer>} when both ends have it; rejected with RemoteError when the relay
     *   refuses (npm's disconnects us instead), and with TypeError for ids that make no sense
     */
    proxy(peerID, throughPeerID) {
        return relay.ask(this, peerID, throughPeerID);
    }

    /**
     * Disconnect a peer that is reached through another.
     * @param {string} peerID
     * @param {string} throughPeerID
     * @param {string} [reason] what we report
     */
    unproxy(peerID, throughPeerID, reason) {
        this.#peers.get(throughPeerID)?._reached.get(peerID)?.disconnect(reason);
    }

    /**
     * @param {string} url
     * @param {ConnectOptions} options
     * @param {AbortSignal | undefined} signal
     * @returns {Promise<AnyPeer>}
     */
    #connect(url, options, signal) {
        return new Promise((resolve, reject) => {
            const peer = this._newPeer(rulesOf(options), null);
            const abort = () => {
                reject(signal?.reason);
                peer._end(LOCAL_CLOSED, NORMAL, "");
            };
            const settle = () => {
                peer._connecting = null;
                signal?.removeEventListener("abort", abort);
            };
            peer._connecting = {
                ready: () => {
                    settle();
                    const kept = this.#kept.get(url);
                    if (kept) {
                        kept.peer = peer;
                        kept.isLost = false;
                        kept.reconnect.made(performance.now());
                    }
                    resolve(peer);
                },
                failed: (reason) => {
                    settle();
                    if (this.#kept.get(url)?.isLost) this.#lost(url, reason);
                    reject(new ConnectionClosed(reason));
                },
            };
            signal?.addEventListener("abort", abort, { once: true });
            try {
                peer._connection = new WebSocketConnection(url, options.WebSocket ?? globalThis.WebSocket, {
                    opened: () => peer._protocol.authenticate(this.authPacket()),
                    received: (frame) => peer._received(frame),
                    broken: (detail) => peer._break(new ProtocolError("Invalid Packet!", detail)),
                    lost: () => peer._lost(REMOTE_CLOSED),
                });
            } catch (error) {
                settle();
                peer._lost(String(error));
                reject(error);
            }
        });
    }

    /** @param {string} url @param {string} reason */
    #lost(url, reason) {
        if (this.#kept.get(url)?.reconnect.lost(reason, performance.now()) === false) this.#forget(url);
    }

    /** @param {string} url */
    #forget(url) {
        const kept = this.#kept.get(url);
        this.#kept.delete(url);
        kept?.reconnect.stop();
        kept?.stop.abort(new ConnectionClosed(LOCAL_CLOSED));
    }

    // --- what peers report

    /** @internal @param {Rules} rules @param {AnyPeer | null} through */
    _newPeer(rules, through) {
        const peer = new AnyPeer(this, rules, through);
        this.#links.add(peer);
        return peer;
    }

    /** @internal @param {AnyPeer} peer @param {{id: string, auth?: any}} packet */
    async _authenticate(peer, packet) {
        let passed;
        try {
            passed = this.onAuth(packet);
            if (typeof passed !== "boolean") passed = await passed;
        } catch (error) {
            report(error);
        }
        if (peer.reason !== null) return;
        if (passed !== true) {
            peer._break(new ProtocolError("Invalid Auth Packet!"));
        } else if (packet.id === this.id || this.#peers.has(packet.id)) {
            peer._break(new ProtocolError("Duplicated AnySocket ID found!"));
        } else {
            peer.id = packet.id;
            peer._ready();
            this._introduce(peer);
            peer._connecting?.ready();
            // Whoever awaits connect() gets to add listeners before the first message.
            setTimeout(() => peer._release());
        }
    }

    /** @internal @param {AnyPeer} peer */
    _introduce(peer) {
        this.#peers.set(peer.id, peer);
        this.emit("connected", peer);
    }

    /** @internal @param {AnyPeer} peer @param {string} reason @param {boolean} wasReady */
    _disconnected(peer, reason, wasReady) {
        this.#links.delete(peer);
        peer._connecting?.failed(reason);
        if (!wasReady || this.#peers.get(peer.id) !== peer) return;
        this.#peers.delete(peer.id);
        const [url, kept] = [...this.#kept].find(([, one]) => one.peer === peer) ?? [];
        if (kept) kept.isLost = true;
        peer.emit("disconnected", peer, reason);
        this.emit("disconnected", peer, reason);
        // A listener may have connected again by itself.
        if (url === undefined || this.#kept.get(url) !== kept) return;
        if (peer._wasOurWish) this.#forget(url);
        else this.#lost(url, reason);
    }
}

/** @param {ConnectOptions} options @returns {Rules} */
function rulesOf(options) {
    const rules = { ...DEFAULTS };
    for (const [name, value] of Object.entries(options)) {
        if (!(name in DEFAULTS)) {
            if (["path", "signal", "reconnect", "WebSocket"].includes(name)) continue;
            throw new TypeError(`"${name}" is no option here`);
        }
        if (name !== "heartbeatEnabled" && !(typeof value === "number" && value > 0)) {
            throw new TypeError(`${name} must be a number above 0`);
        }
        /** @type {any} */ (rules)[name] = value;
    }
    return rules;
}
