import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AUTH, CHUNK, HEARTBEAT, INTERNAL, LINK, SWITCH, encodeHead, newId } from "../src/packet.js";
import { Protocol } from "../src/protocol.js";
import { DECIDING, SECURED } from "../src/state.js";

const RULES = {
    authTimeout: 5000, e2eTimeout: 5000, replyTimeout: 30_000, heartbeatEnabled: true, heartbeatInterval: 5000,
    heartbeatsMaxMissed: 2, maxMessageSize: 16 << 20, maxOpenPackets: 4, packetTimeout: 30_000,
    maxPendingReplies: 10, maxRelayed: 10, highWater: 1 << 20, sendLimit: 32 << 20,
};

/** One side, which remembers what came out of it. */
class Side {
    /** @type {any[]} */ packets = [];
    /** @type {string[]} */ frames = [];
    /** @type {Error | null} */ error = null;
    /** @type {Side | null} */ other = null;
    #news = () => {};

    constructor(rules = {}, id = newId()) {
        this.id = id;
        this.protocol = new Protocol(id, { ...RULES, ...rules }, {
            write: (frame) => {
                this.frames.push(frame);
                this.other?.protocol.receive(frame, 0);
            },
            deliver: (packet) => {
                this.packets.push(packet);
                this.#news();
            },
            fail: (error) => {
                this.error = error;
                this.protocol.close();
                this.#news();
            },
        }, 0);
    }

    receive(...frames) {
        for (const frame of frames) this.protocol.receive(frame, 0);
    }

    async until(done) {
        while (!done()) await new Promise((resolve) => (this.#news = resolve));
    }

    values() {
        return this.packets.filter(({ kind }) => kind === LINK).map(({ value }) => value);
    }
}

/** A side that is ready, without another. */
function ready(rules) {
    const side = new Side(rules);
    side.protocol.acceptRelayed(newId(), 0);
    side.protocol.release();
    return side;
}

/** Two sides on one link. */
function pair(rules) {
    const [a, b] = [new Side(rules), new Side(rules)];
    for (const [one, other] of [[a, b], [b, a]]) {
        one.other = other;
        one.protocol.acceptRelayed(other.id, 0);
        one.protocol.release();
    }
    return [a, b];
}

const packet = (kind, seq, value) => encodeHead(kind, seq) + (typeof value === "string" ? value : JSON.stringify(value));

describe("authentication", () => {
    it("goes AUTH by AUTH, and holds what follows", () => {
        const side = new Side();
        side.protocol.authenticate(undefined);
        assert.deepEqual(side.frames, [packet(AUTH, 1, { id: side.id })]);
        const id = newId();
        side.receive(packet(AUTH, 1, { id, auth: 5 }), packet(LINK, 2, '"early"'));
        assert.equal(side.protocol.state, DECIDING);
        assert.deepEqual(side.packets.map(({ value }) => value), [{ id, auth: 5 }]);
        side.protocol.accept(0);
        assert.equal(side.packets.length, 1);
        side.protocol.release();
        assert.deepEqual(side.values(), ["early"]);
    });

    for (const [what, frame] of Object.entries({
        "another packet": packet(LINK, 1, "1"),
        "no id": packet(AUTH, 1, {}),
        "an id of capitals": packet(AUTH, 1, { id: newId().toUpperCase() }),
        "no JSON": packet(AUTH, 1, "{"),
        "a reply": packet(AUTH, -1, { id: newId() }),
        "a FORWARD": `6${"x".repeat(40)}`,
        "too much": packet(AUTH, 1, { id: newId(), auth: "x".repeat(70_000) }),
    })) {
        it(`fails with ${what}`, () => {
            const side = new Side();
            side.receive(frame);
            assert.match(side.error?.message ?? "", /^Invalid (Auth )?Packet!$/);
        });
    }

    it("has its time", () => {
        const side = new Side();
        assert.equal(side.protocol.deadline(), 5000);
        side.protocol.expire(4999);
        assert.equal(side.error, null);
        side.protocol.expire(5000);
        assert.equal(side.error?.message, "auth timed out");
    });
});

describe("packets", () => {
    it("go in chunks and come whole", () => {
        const [a, b] = pair({});
        const text = "\u{1f600}".repeat(CHUNK);
        a.protocol.send(LINK, JSON.stringify(text));
        assert.deepEqual(a.frames.map((frame) => frame[0]), ["2", "2", "1"]);
        assert.equal(b.values()[0], text);
        assert.deepEqual([a.protocol.out.packets, b.protocol.packetsIn], [1, 1]);
    });

    it("may interleave", () => {
        const side = ready({});
        side.receive("23\0\0\0\x01[1,", "23\0\0\0\x02[3,", "13\0\0\0\x034", "13\0\0\0\x012]", "13\0\0\0\x025]");
        assert.deepEqual(side.values(), [4, [1, 2], [3, 5]]);
    });

    it("come once", () => {
        const side = ready({});
        side.receive(packet(LINK, 1, "1"), packet(LINK, 1, "2"), packet(LINK, -1, "3"), packet(LINK, -1, "4"));
        assert.deepEqual(side.values(), [1, 3, 4]);
        assert.equal(side.protocol.dropped, 1);
    });

    for (const [what, frames] of Object.entries({
        "no JSON": [packet(LINK, 1, "{")],
        "AUTH again": [packet(AUTH, 1, { id: newId() })],
        "a type of its own": ["19\0\0\0\x01{}"],
        "a heartbeat as a reply": [packet(HEARTBEAT, -1, "1")],
        "too many open packets": [1, 2, 3, 4, 5].map((seq) => encodeHead(LINK, seq, false)),
        "a packet that changes its type": [encodeHead(LINK, 1, false), packet(INTERNAL, 1, "1")],
        "a message too large": [packet(LINK, 1, `"${"x".repeat(1000)}"`)],
        "chunks too large": [encodeHead(LINK, 1, false) + "x".repeat(600), packet(LINK, 1, "x".repeat(600))],
        "a SWITCH without a key": [packet(SWITCH, 1, { type: 2 })],
    })) {
        it(`end the link with ${what}`, async () => {
            const side = ready({ maxMessageSize: 1000 });
            side.receive(...frames);
            await side.until(() => side.error);
            assert.equal(side.error.message, "Invalid Packet!");
        });
    }

    it("that are never completed end the link", () => {
        const side = ready({ heartbeatEnabled: false });
        side.receive(encodeHead(LINK, 1, false));
        assert.equal(side.protocol.deadline(), 30_000);
        side.protocol.expire(30_000);
        assert.equal(side.error?.message, "Invalid Packet!");
    });
});

describe("heartbeats", () => {
    it("ping after silence, and end the link when nothing comes", () => {
        const side = ready({});
        for (const now of [5000, 10_000]) {
            assert.equal(side.protocol.deadline(), now);
            side.protocol.expire(now);
        }
        assert.deepEqual(side.frames, [packet(HEARTBEAT, 1, "1"), packet(HEARTBEAT, 2, "1")]);
        side.protocol.expire(15_000);
        assert.equal(side.error?.message, "Missed Heartbeats");
    });

    it("count any frame as a sign of life", () => {
        const side = ready({});
        side.protocol.expire(5000);
        side.protocol.expire(10_000);
        side.protocol.receive(packet(LINK, 1, "1"), 14_000);
        assert.equal(side.protocol.deadline(), 19_000);
    });

    it("are answered, and measured", () => {
        const side = ready({});
        side.receive(packet(HEARTBEAT, 1, "1"), packet(HEARTBEAT, 2, '"1"'), packet(HEARTBEAT, 3, "true"));
        assert.deepEqual(side.frames, [1, 2, 3].map((seq) => packet(HEARTBEAT, seq, "2")));
        side.protocol.ping(100);
        side.protocol.receive(packet(HEARTBEAT, 4, "2"), 130);
        side.protocol.receive(packet(HEARTBEAT, 5, "2"), 140);
        assert.deepEqual(side.packets.map(({ value }) => value), [30, null]);
    });

    it("can be left to the other side", () => {
        assert.equal(ready({ heartbeatEnabled: false }).protocol.deadline(), Infinity);
    });
});

describe("encryption", () => {
    const secured = async (...sides) => {
        for (const side of sides) await side.until(() => side.protocol.state === SECURED || side.error);
        assert.deepEqual(sides.map((side) => side.error), sides.map(() => null));
    };

    it("keeps the order of everything, and nothing behind the SWITCH is plain", async () => {
        const [a, b] = pair({});
        a.protocol.send(LINK, "1");
        a.protocol.switch(0);
        a.protocol.send(LINK, "2");
        b.protocol.send(LINK, '"plain"');
        await secured(a, b);
        a.protocol.send(LINK, "3");
        b.protocol.send(LINK, '"sealed"');
        a.protocol.send(LINK, JSON.stringify("x".repeat(2 * CHUNK)));
        a.protocol.send(LINK, "4");
        await b.until(() => b.values().length === 5);
        await a.until(() => a.values().length === 2);
        assert.deepEqual(b.values().map((value) => String(value)[0]), ["1", "2", "3", "x", "4"]);
        assert.deepEqual(a.values(), ["plain", "sealed"]);
        const after = a.frames.slice(a.frames.findIndex((frame) => frame[1] === "4") + 1);
        assert.ok(after.every((frame) => /^([0-9a-f]{32}){2,}$/.test(frame.slice(6))));
        assert.equal(a.protocol.fingerprint, b.protocol.fingerprint);
    });

    it("works when both begin at once", async () => {
        const [a, b] = pair({});
        // Neither sees the other's SWITCH before its own is out.
        const held = { a: [], b: [] };
        a.other = b.other = null;
        a.protocol.switch(0);
        b.protocol.switch(0);
        while (!a.frames.length || !b.frames.length) await new Promise((resolve) => setTimeout(resolve));
        held.a = [...a.frames];
        held.b = [...b.frames];
        a.other = b;
        b.other = a;
        a.receive(...held.b);
        b.receive(...held.a);
        a.protocol.send(LINK, "1");
        b.protocol.send(LINK, "2");
        await secured(a, b);
        await b.until(() => b.values().length);
        await a.until(() => a.values().length);
        assert.deepEqual([a.values(), b.values()], [[2], [1]]);
    });

    it("works when the other begins before our keys are made", async () => {
        const [a, b] = pair({});
        a.protocol.switch(0);
        b.protocol.switch(0);
        await secured(a, b);
        a.protocol.send(LINK, "1");
        await b.until(() => b.values().length || b.error);
        assert.deepEqual(b.values(), [1]);
    });

    it("is read to the end", async () => {
        const [a, b] = pair({});
        a.protocol.switch(0);
        await secured(a, b);
        for (let at = 0; at < 20; at++) a.protocol.send(LINK, String(at));
        await a.protocol.out.written();
        await new Promise((resolve) => b.protocol.whenRead(() => resolve(undefined)));
        assert.equal(b.values().length, 20);
        b.protocol.whenRead(() => b.protocol.close());
        assert.ok(!b.protocol.isReady());
    });

    it("refuses what is plain afterwards, but for one heartbeat of npm's", async () => {
        const [a, b] = pair({});
        a.protocol.switch(0);
        await secured(a, b);
        b.receive(packet(HEARTBEAT, 2, "2"));
        assert.equal(b.error, null);
        b.receive(packet(LINK, 3, "1"));
        await b.until(() => b.error);
        assert.equal(b.error.message, "Invalid Packet!");
    });

    it("refuses a second SWITCH and a changed payload", async () => {
        for (const kind of [SWITCH, LINK]) {
            const [a, b] = pair({});
            a.protocol.switch(0);
            await secured(a, b);
            b.receive(packet(kind, 2, "00".repeat(32)));
            await b.until(() => b.error);
            assert.equal(b.error.message, "Invalid Packet!");
        }
    });

    it("has its time, and a limit for what waits", async () => {
        const side = ready({ sendLimit: 10 });
        side.protocol.switch(1000);
        side.protocol.send(LINK, '"123456"');
        assert.throws(() => side.protocol.send(LINK, '"1"'), { name: "LimitExceeded" });
        assert.equal(side.protocol.deadline(), 6000);
        side.protocol.expire(6000);
        assert.equal(side.error?.message, "e2e timed out");
    });
});
