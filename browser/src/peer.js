/** @module peer: one remote, and the messages that it sends. */
import { Alarm } from "./alarm.js";
import { AnyPacket } from "./any_packet.js";
import * as clock from "./clock.js";
import { canEncrypt } from "./e2e.js";
import { Emitter } from "./emitter.js";
import { ConnectionClosed, LOCAL_CLOSED, LimitExceeded, ProtocolError } from "./errors.js";
import * as internal from "./internal.js";
import { AUTH, FORWARD, HEARTBEAT, INTERNAL, LINK, SWITCH, encode, newId } from "./packet.js";
import { Pending } from "./pending.js";
import { closed, deferred, quiet } from "./promises.js";
import { Protocol } from "./protocol.js";
import * as relay from "./relay.js";
import * as rpc from "./rpc.js";
import { CONNECTED, SECURED } from "./state.js";
import { queuedOf, statsOf } from "./stats.js";
import { BROKEN, NORMAL } from "./transport.js";

/** @import {AnySocket} from "./socket.js" */
/** @import {Connection, Packet, PeerEvents, RequestOptions, Rules} from "./types.js" */

const DISCONNECTED = "Cannot send message. Peer is disconnected";

/** Milliseconds between two looks at what the browser has not sent yet; it has no event for that. */
const POLL = 20;

const DONE = Promise.resolve();

/**
 * A remote that is authenticated. Not made by hand.
 *
 * Events: `message(packet)`, `e2e(peer)` when the link is encrypted, `heartbeat(peer)`,
 * `disconnected(peer, reason)`.
 * @extends {Emitter<PeerEvents>}
 */
export class AnyPeer extends Emitter {
    /** The remote's id: 32 hex digits. */
    id = "";
    /** Of this link, as `id` is of the remote. */
    connectionID = newId();
    /** @type {number | null} the round trip of the last heartbeat, in milliseconds */
    lag = null;
    /** @type {string | null} why the link is over, or null */
    reason = null;

    /** @internal @type {Connection} */
    _connection = /** @type {any} */ (null);
    /** @internal @type {Protocol} */
    _protocol;
    /** @internal @type {Map<string, AnyPeer>} whom we reach through it */
    _reached = new Map();
    /** @internal @type {AnyPeer | null} through whom we reach it */
    _relay;
    /** @internal @type {Rules} */
    _rules;
    /** @internal @type {AnySocket} */
    _socket;
    /** @internal whether the connection is over and what it brought is still being read */
    _isLeaving = false;
    /** @internal whether we ended it ourselves, and not for a fault */
    _wasOurWish = false;
    /** @internal @type {{ready: () => void, failed: (reason: string) => void} | null} who connects */
    _connecting = null;

    #pending;
    #alarm = new Alarm((now) => this.#ring(now));
    /** @type {{promise: Promise<void>, resolve: () => void, reject: (error: Error) => void} | null} */
    #secured = null;
    /** @type {{rtt: number, offset: number} | null} */
    #clock = null;
    #ended = DONE;

    /** @internal @param {AnySocket} socket @param {Rules} rules @param {AnyPeer | null} [through] */
    constructor(socket, rules, through = null) {
        super();
        this._socket = socket;
        this._rules = rules;
        this._relay = through;
        this.#pending = new Pending(rules.maxPendingReplies);
        this._protocol = new Protocol(socket.id, rules, {
            write: (frame) => this._connection.send(frame),
            deliver: (packet) => this.#deliver(packet),
            fail: (error) => this._break(error),
        }, performance.now());
        this.#arm();
    }

    // --- for the user

    /** The remote's functions: `await peer.rpc.hello.user("Ada")`. */
    get rpc() {
        return rpc.stub((path, args) => this.call(path, args));
    }

    /**
     * Call a remote function, as `rpc` does, with options.
     * @param {string | string[]} path "hello.user" or ["hello", "user"]
     * @param {unknown[]} [args] JSON values; typed arrays and ArrayBuffers arrive as binary
     * @param {RequestOptions} [options]
     * @returns {Promise<any>} the result; rejected with RemoteError when the function failed
     */
    call(path, args = [], options = {}) {
        const method = typeof path === "string" ? path.split(".") : path;
        const reply = this.#request(INTERNAL, encode(rpc.request(method, args)), options);
        return quiet(reply.then((packet) => rpc.resultOf(packet.msg)));
    }

    /**
     * Send a message; it is on its way at the call. `send(message, true)` is `request`, as the seed
     * has it.
     * @overload
     * @param {unknown} message any JSON value; undefined is sent as {}
     * @param {false} [awaitReply]
     * @returns {Promise<void>} when what was sent is, or is about to be, on its way to the remote;
     *   rejected with ConnectionClosed
     * @overload
     * @param {unknown} message
     * @param {boolean} awaitReply
     * @param {number} [timeout] milliseconds
     * @returns {Promise<AnyPacket>}
     */
    /**
     * @param {unknown} message
     * @param {boolean} [awaitReply]
     * @param {number} [timeout]
     * @returns {Promise<any>}
     * @throws {TypeError} at the call, for what JSON cannot say
     * @throws {LimitExceeded} at the call, when too much was not sent yet
     */
    send(message, awaitReply = false, timeout) {
        const text = encode(message);
        if (awaitReply) return this.#request(LINK, text, { timeout });
        if (this.reason !== null) return closed(DISCONNECTED);
        this.#checkRoom();
        this._protocol.send(LINK, text);
        return this.#drain();
    }

    /**
     * Send a message and wait for its reply.
     * @param {unknown} message any JSON value; undefined is sent as {}
     * @param {RequestOptions} [options]
     * @returns {Promise<AnyPacket>} rejected with ReplyTimeout, which leaves the peer as it was, with
     *   ConnectionClosed, or with the signal's reason
     */
    request(message, options = {}) {
        return this.#request(LINK, encode(message), options);
    }

    /**
     * Encrypt the link end to end. It begins at the call: what is sent after it waits. Either side
     * may begin, both may at once, and a second call changes nothing.
     * @returns {Promise<void>} when the link is encrypted; rejected with ConnectionClosed
     * @throws {Error} at the call, on a page that came over plain http from another machine
     */
    e2e() {
        if (this.reason !== null) return closed(DISCONNECTED);
        if (!this.#secured) {
            canEncrypt();
            this.#secured = deferred();
            if (this._protocol.state === SECURED) this.#secured.resolve();
            else if (this._protocol.state === CONNECTED) this._protocol.switch(performance.now());
            this.#arm();
        }
        return this.#secured.promise;
    }

    isE2EEnabled() {
        return this._protocol.state === SECURED;
    }

    /**
     * "plain", or "legacy" for the encryption of npm anysocket: whoever reads along learns nothing,
     * but who can also write may change what arrives, and nobody has shown who he is. Compare the
     * `fingerprint`.
     * @returns {"plain" | "legacy"}
     */
    get security() {
        return this.isE2EEnabled() ? "legacy" : "plain";
    }

    /**
     * @returns {string | null} a digest of both sides' keys, in 32 hex digits, once the link is
     *   encrypted: the same on both sides unless somebody sits between them
     */
    get fingerprint() {
        return this._protocol.fingerprint;
    }

    /** @returns {boolean} whether this peer is reached through another one */
    isProxy() {
        return this._relay !== null;
    }

    /**
     * The remote's clock. Measured by the first call, or again with `refresh`.
     * @param {boolean} [refresh]
     * @returns {Promise<clock.SyncedTime>}
     */
    async getSyncedTime(refresh = false) {
        if (refresh || !this.#clock) {
            // What waits for the encryption says nothing of the way.
            if (this._protocol.out.isHolding()) await this.e2e();
            this.#clock = await clock.measure(async (message) => (await this._ask(message)).msg);
        }
        const { rtt, offset } = this.#clock;
        return { time: Date.now() + offset, rtt, offset };
    }

    /** Ask for a sign of life now; the answer is a `heartbeat` event and sets `lag`. */
    heartbeat() {
        if (this.reason !== null || !this._protocol.isReady()) return;
        this._protocol.ping(performance.now());
        this.#arm();
    }

    /** What went over the link so far. */
    get stats() {
        return statsOf(this);
    }

    /**
     * Disconnect, at the call; what was sent before goes out first.
     * @param {string} [reason] stays here: the remote learns that we closed
     * @returns {Promise<void>} when that is done
     */
    disconnect(reason) {
        this._wasOurWish ||= this.reason === null;
        return this._end(reason ?? (this.isProxy() ? relay.CLOSED : LOCAL_CLOSED), NORMAL, "");
    }

    // --- down

    /** @internal @param {number} kind @param {number} seq @param {string} text */
    _reply(kind, seq, text) {
        if (this.reason !== null) return closed(DISCONNECTED);
        this.#checkRoom();
        this._protocol.reply(kind, seq, text);
        return this.#drain();
    }

    /** @internal An INTERNAL request. @param {object} message @returns {Promise<AnyPacket>} */
    _ask(message) {
        return this.#request(INTERNAL, encode(message), {});
    }

    /** @internal An INTERNAL packet that wants no answer. @param {object} message */
    _tell(message) {
        if (this.reason === null) this._protocol.send(INTERNAL, encode(message));
    }

    /**
     * @param {number} kind
     * @param {string} text
     * @param {RequestOptions} options
     * @returns {Promise<AnyPacket>}
     */
    #request(kind, text, { timeout = this._rules.replyTimeout, signal }) {
        if (signal?.aborted) return quiet(Promise.reject(signal.reason));
        if (this.reason !== null) return closed(DISCONNECTED);
        this.#pending.check();
        this.#checkRoom();
        const deadline = performance.now() + timeout;
        const reply = this.#pending.add(this._protocol.send(kind, text), deadline, signal);
        this.#arm(deadline);
        return reply;
    }

    #checkRoom() {
        if (this._connection.buffered > this._rules.sendLimit) {
            throw new LimitExceeded(`more than ${this._rules.sendLimit} bytes were not sent yet`);
        }
    }

    /** @returns {Promise<void>} */
    #drain() {
        if (queuedOf(this) <= this._rules.highWater && !this._protocol.out.isHolding()) return DONE;
        return quiet(this.#drained());
    }

    async #drained() {
        if (this._protocol.out.isHolding() && this.#secured) await this.#secured.promise;
        while (queuedOf(this) > this._rules.highWater) {
            await new Promise((resolve) => setTimeout(resolve, POLL));
        }
        if (this.reason !== null) throw new ConnectionClosed(this.reason);
    }

    // --- up

    /** @internal @param {string} frame */
    _received(frame) {
        if (this.reason !== null) return;
        this._protocol.receive(frame, performance.now());
        this.#arm();
    }

    /** @internal The connection is over. @param {string} reason */
    _lost(reason) {
        this._isLeaving = true;
        this._protocol.whenRead(() => this.#end(reason));
    }

    /** @internal The remote broke the rules, or what we need failed. @param {Error} error */
    _break(error) {
        this._end(error.message, BROKEN, error instanceof ProtocolError ? error.detail : "");
    }

    /** @internal The remote passed. */
    _ready() {
        this._protocol.accept(performance.now());
        this.#arm();
    }

    /** @internal Deliver what waited. */
    _release() {
        if (this.reason === null) this._protocol.release();
        this.#arm();
    }

    /** @param {Packet} packet */
    #deliver({ kind, seq, value }) {
        if (this.reason !== null) return;
        if (kind === AUTH) {
            this._socket._authenticate(this, value);
        } else if (kind === FORWARD) {
            relay.carry(this, value);
        } else if (kind === HEARTBEAT) {
            if (value === null) return;
            this.lag = value;
            this.#tellAll("heartbeat");
        } else if (kind === SWITCH) {
            this.#secured?.resolve();
            this.#tellAll("e2e");
        } else if (seq < 0) {
            this.#pending.resolve(-seq, new AnyPacket(this, -seq, value, true));
        } else if (kind === LINK) {
            const packet = new AnyPacket(this, seq, value, false);
            this.emit("message", packet);
            this._socket.emit("message", packet);
        } else {
            internal.take(this, value, (answer) => {
                if (this.reason === null) this._protocol.reply(INTERNAL, seq, encode(answer));
            });
        }
    }

    /** @param {"heartbeat" | "e2e"} event */
    #tellAll(event) {
        this.emit(event, this);
        this._socket.emit(event, this);
    }

    // --- time

    /** @param {number} [due] of what was begun now */
    #arm(due = Infinity) {
        if (this.reason === null) this.#alarm.by(Math.min(due, this._protocol.deadline()));
    }

    /** @param {number} now */
    #ring(now) {
        const next = this.#pending.expire(now);
        this._protocol.expire(now);
        this.#arm(next);
    }

    // --- the end

    /** @internal @param {string} reason @param {number} code @param {string} detail @returns {Promise<void>} */
    _end(reason, code, detail) {
        if (this.reason !== null) return this.#ended;
        const protocol = this._protocol;
        const connection = this._connection;
        const wasSecured = protocol.state === SECURED;
        protocol.finish();
        const isLate = wasSecured && code === NORMAL && protocol.out.unsent > 0;
        // What was encrypted before the end has to leave before it.
        if (isLate) this.#ended = protocol.out.written().then(() => connection.close(code, detail));
        else connection?.close(code, detail);
        this.#end(reason, isLate);
        return this.#ended;
    }

    /** @param {string} reason @param {boolean} [isLate] whether the protocol still has to write */
    #end(reason, isLate = false) {
        if (this.reason !== null) return;
        const wasReady = this._protocol.isReady();
        this.reason = reason;
        if (isLate) this.#ended = this.#ended.then(() => this._protocol.close());
        else this._protocol.close();
        this.#alarm.stop();
        this.#pending.fail(reason);
        this.#secured?.reject(new ConnectionClosed(reason));
        relay.lost(this);
        this._socket._disconnected(this, reason, wasReady);
    }
}
