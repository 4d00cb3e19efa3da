/**
 * @module protocol: the protocol of a link as a state machine.
 *
 * It touches no socket, no timer and no clock: frames and the time (milliseconds) come in, packets
 * go to `deliver`, frames to `write`, and the error that ends the link to `fail`. `deadline()` says
 * when `expire(now)` wants to be called. Only the cryptography takes turns of the event loop; what
 * comes or goes meanwhile keeps its order.
 *
 * In each direction that side's SWITCH is the boundary: what is before it is plain, what is behind
 * it is encrypted. FORWARD frames are not encrypted: they carry the packets of other links.
 */
import { Keys, Offer, agree, answer, fingerprint } from "./e2e.js";
import { LimitExceeded, ProtocolError } from "./errors.js";
import {
    AUTH, FORWARD, HEARTBEAT, INTERNAL, INVALID, LAST_SEQ, LINK, SWITCH, isId, parseHead,
} from "./packet.js";
import { Life } from "./life.js";
import { Outgoing } from "./outgoing.js";
import { Partials } from "./partials.js";
import { Seen, following } from "./sequence.js";
import { AUTHING, CONNECTED, DECIDING, DISCONNECTED, ENCRYPTED, PLAIN, SECURED, SWITCHING } from "./state.js";

/** @import {Outside, Rules} from "./types.js" */
/** @import {Session} from "./e2e.js" */

/** Characters that a remote may send before it is authenticated. */
const BEFORE_AUTH = 65_536;

/**
 * Milliseconds to wait for npm anysocket's first encrypted packet where its SWITCH may be the answer
 * to ours or an offer that crossed it. If it says nothing, it was most likely the answer.
 */
const SETTLE = 100;

/** One side of one link. */
export class Protocol {
    state = AUTHING;
    remoteId = "";
    /** What was ignored: repeated packets, and frames that nobody may forward. */
    dropped = 0;
    /** @type {string | null} of both public keys, once the link is encrypted */
    fingerprint = null;
    packetsIn = 0;

    #id;
    #rules;
    #outside;
    #seq = 0;
    #seen = new Seen();
    #partials;
    #limit = BEFORE_AUTH;
    #now;
    #life;

    /** @type {string[]} frames that were not read yet */
    #arrived = [];
    #arrivedSize = 0;
    #isHeld = false;
    #isReading = false;
    /** @type {(() => void) | null} */
    #whenRead = null;

    out;
    /** @type {Keys | null} ours, from our SWITCH to the other's */
    #keys = null;
    /** @type {Session | null} what the remote may have instead, until it has proven which */
    #rival = null;
    #isProven = false;
    #switchBy = Infinity;

    /** @param {string} id @param {Rules} rules @param {Outside} outside @param {number} now */
    constructor(id, rules, outside, now) {
        this.#id = id;
        this.#rules = rules;
        this.#outside = outside;
        this.#now = now;
        this.#partials = new Partials(rules);
        this.out = new Outgoing(rules.sendLimit, outside.write, (error) => this.#fail(error));
        this.#life = new Life(rules, now);
    }

    // --- what the peer says

    /** Send our AUTH. @param {unknown} auth left out if undefined */
    authenticate(auth) {
        this.send(AUTH, JSON.stringify({ id: this.#id, auth }));
    }

    /** The remote's AUTH passed: the link is ready. What comes waits for `release`. @param {number} now */
    accept(now) {
        this.state = CONNECTED;
        this.#isHeld = true;
        this.#limit = this.#rules.maxMessageSize;
        this.#life.seen(now);
    }

    /** A relay vouches for the remote: there is no AUTH. @param {string} remoteId @param {number} now */
    acceptRelayed(remoteId, now) {
        this.remoteId = remoteId;
        this.accept(now);
    }

    /** Deliver what waited, and what comes from now on. */
    release() {
        this.#isHeld = false;
        this.#read();
    }

    /** @returns {boolean} whether both sides are authenticated and the link is not over */
    isReady() {
        return this.state >= CONNECTED && this.state < DISCONNECTED;
    }

    /**
     * @param {number} kind
     * @param {string} text JSON
     * @returns {number} the number of the packet
     * @throws {LimitExceeded} when too much waits to be encrypted, or every number was used with the keys
     */
    send(kind, text) {
        const seq = following(this.#seq);
        // The wire knows no new keys for a link; only heartbeats, which say nothing, go on.
        if (seq === LAST_SEQ && this.out.session && kind !== HEARTBEAT) {
            throw new LimitExceeded("the keys of this link are used up; connect again");
        }
        this.out.put(kind, seq, text);
        this.#seq = seq === LAST_SEQ && this.out.session ? seq - 1 : seq;
        return seq;
    }

    /** @param {number} kind @param {number} seq of the packet that is answered @param {string} text JSON */
    reply(kind, seq, text) {
        this.out.put(kind, -seq, text);
    }

    /** Begin to encrypt a link that is CONNECTED: what is sent from now on waits. @param {number} now */
    switch(now) {
        this.state = SWITCHING;
        this.out.hold();
        this.#switchBy = now + this.#rules.e2eTimeout;
        Keys.make().then((keys) => {
            // Meanwhile the link may be over, or the other side may have begun.
            if (this.state !== SWITCHING || this.#isReading) return;
            this.#keys = keys;
            this.#sendSwitch(keys);
        }).catch((error) => this.#fail(error));
    }

    /** Send what can be sent before the end; `out.written` says when. What waits for a SWITCH cannot. */
    finish() {
        if (this.state === SECURED) this.#sendWaiting();
    }

    /**
     * Call `then` when everything that arrived was delivered: what is encrypted takes its time, and
     * the end of the connection does not.
     * @param {() => void} then
     */
    whenRead(then) {
        if (!this.isReady() || (!this.#isReading && !this.#arrived.length)) then();
        else this.#whenRead = then;
    }

    /** The link is over. */
    close() {
        this.state = DISCONNECTED;
        this.#partials.clear();
        this.#arrived = [];
        this.out.close();
        this.#whenRead = null;
    }

    // --- what the remote says

    /** @param {string} frame @param {number} now */
    receive(frame, now) {
        if (this.state === DISCONNECTED) return;
        this.#now = now;
        if (this.state >= CONNECTED) this.#life.seen(now);
        this.#arrived.push(frame);
        this.#arrivedSize += frame.length;
        const limit = this.state === AUTHING ? BEFORE_AUTH : this.#rules.sendLimit;
        if (this.#arrivedSize > limit) {
            this.#fail(new ProtocolError(INVALID, "too much arrived before it could be read"));
        } else {
            this.#read();
        }
    }

    #read() {
        while (!this.#isReading && !this.#isHeld && this.state !== DECIDING) {
            const frame = this.#arrived.shift();
            if (frame === undefined) {
                this.#whenRead?.();
                return;
            }
            this.#arrivedSize -= frame.length;
            try {
                const later = this.#take(frame);
                if (later) this.#readAfter(later);
            } catch (error) {
                this.#fail(error);
            }
        }
    }

    /** @param {Promise<unknown>} later */
    #readAfter(later) {
        this.#isReading = true;
        later.then(() => {
            this.#isReading = false;
            this.#read();
        }, (error) => this.#fail(error));
    }

    /** @param {string} frame @returns {Promise<void> | void} */
    #take(frame) {
        if (frame[0] === "6") {
            if (!this.isReady()) throw new ProtocolError(INVALID, "FORWARD before AUTH");
            return this.#outside.deliver({ kind: FORWARD, seq: 0, value: frame });
        }
        const { last, kind, seq } = parseHead(frame);
        const payload = frame.slice(6);
        if (PLAIN[this.state].includes(kind) || this.#isLateHeartbeat(kind, payload)) {
            return this.#collect(last, kind, seq, payload);
        }
        if (this.state !== SECURED || !ENCRYPTED.includes(kind)) {
            throw new ProtocolError(INVALID, `packet type ${kind} in state ${this.state}`);
        }
        return this.#open(Math.abs(seq), payload).then((text) => {
            if (this.state !== DISCONNECTED) return this.#collect(last, kind, seq, text);
        });
    }

    /** npm anysocket's timer may put one behind its SWITCH. @param {number} kind @param {string} payload */
    #isLateHeartbeat(kind, payload) {
        return this.state === SECURED && !this.#isProven && kind === HEARTBEAT && /^[12]$/.test(payload);
    }

    /** @param {number} number @param {string} payload */
    async #open(number, payload) {
        const session = /** @type {Session} */ (this.out.session);
        if (this.#isProven) return session.open(number, payload);
        // The first payload shows what the remote can decrypt.
        const rival = this.#rival;
        const text = await session.open(number, payload).catch((error) => {
            if (!rival) throw error;
            this.out.session = rival;
            return rival.open(number, payload);
        });
        this.#isProven = true;
        this.#sendWaiting();
        return text;
    }

    /**
     * @param {boolean} last
     * @param {number} kind
     * @param {number} seq
     * @param {string} text
     * @returns {Promise<void> | void}
     */
    #collect(last, kind, seq, text) {
        const whole = this.#partials.collect(last, kind, seq, text, this.#limit, this.#now);
        if (whole === null) return;
        if (seq > 0 && !this.#seen.isNew(seq)) {
            this.dropped++;
            return;
        }
        this.packetsIn++;
        let value;
        try {
            value = JSON.parse(whole);
        } catch {
            throw new ProtocolError(INVALID, "not JSON");
        }
        return this.#packet(kind, seq, value);
    }

    /** @param {number} kind @param {number} seq @param {any} value @returns {Promise<void> | void} */
    #packet(kind, seq, value) {
        const { deliver } = this.#outside;
        if (kind === LINK || kind === INTERNAL) return deliver({ kind, seq, value });
        if (seq < 0) throw new ProtocolError(INVALID, `a reply of packet type ${kind}`);
        if (kind === SWITCH) return this.#switched(seq, value);
        if (kind === AUTH) {
            if (!isId(value?.id)) throw new ProtocolError("Invalid Auth Packet!", "no AnySocket id");
            this.remoteId = value.id;
            this.state = DECIDING;
            return deliver({ kind, seq, value });
        }
        // npm anysocket compares loosely: 1, "1" and true are pings, all else is a pong.
        if (value === 1 || value === "1" || value === true) {
            this.send(HEARTBEAT, "2");
            return;
        }
        deliver({ kind, seq, value: this.#life.answered(this.#now) });
    }

    // --- encryption

    /** @param {number} seq @param {any} value */
    async #switched(seq, value) {
        const theirs = Offer.parse(value);
        let ours = this.#keys;
        if (ours) {
            this.#keys = null;
            [this.out.session, this.#rival] = await agree(ours, theirs, this.#id, this.remoteId);
        } else {
            // What is sent while the keys are made belongs behind our SWITCH.
            this.state = SWITCHING;
            this.out.hold();
            ours = await Keys.make(theirs);
            const session = await answer(ours, theirs, this.remoteId);
            if (this.#isOver()) return;
            this.#sendSwitch(ours);
            this.out.session = session;
        }
        const print = await fingerprint(ours, theirs);
        if (this.#isOver()) return;
        this.fingerprint = print;
        this.state = SECURED;
        if (this.#rival) this.#switchBy = this.#now + SETTLE;
        else this.#sendWaiting();
        this.#outside.deliver({ kind: SWITCH, seq, value: null });
    }

    // A method: the checker takes a state for what it was before the wait.
    #isOver() {
        return this.state === DISCONNECTED;
    }

    /** @param {Keys} keys */
    #sendSwitch(keys) {
        this.#seq = following(this.#seq);
        this.out.write(SWITCH, this.#seq, JSON.stringify(keys.message()));
    }

    #sendWaiting() {
        this.#rival = null;
        this.#switchBy = Infinity;
        this.out.release();
    }

    /** @param {unknown} error */
    #fail(error) {
        if (this.state === DISCONNECTED) return;
        this.#outside.fail(error instanceof Error ? error : new Error(String(error)));
    }

    // --- what the time says

    /** @returns {number} when `expire` is due */
    deadline() {
        // No ping goes out while SWITCHING, so none is missed.
        const due = this.state === SWITCHING ? this.#switchBy : Math.min(this.#life.due, this.#switchBy);
        return Math.min(due, this.#partials.deadline());
    }

    /** Do what is due: ping, or say that the remote's time is over. @param {number} now */
    expire(now) {
        this.#now = now;
        if (this.state === DISCONNECTED || now < this.deadline()) return;
        if (this.#partials.deadline() <= now) {
            this.#fail(new ProtocolError(INVALID, "the rest of a packet did not come"));
        } else if (this.state < CONNECTED) {
            this.#fail(new ProtocolError("auth timed out"));
        } else if (this.state === SWITCHING) {
            this.#fail(new ProtocolError("e2e timed out"));
        } else if (this.#switchBy <= now) {
            this.#sendWaiting();
        } else if (this.#life.isOver()) {
            this.#fail(new ProtocolError("Missed Heartbeats"));
        } else {
            this.ping(now);
        }
    }

    /** Ask for a sign of life. @param {number} now */
    ping(now) {
        this.#life.asked(now);
        this.send(HEARTBEAT, "1");
    }
}
