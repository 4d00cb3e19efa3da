// What needs no remote of another kind: functions that are served, events, and links that are lost.
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Emitter } from "../src/emitter.js";
import { RemoteError } from "../src/index.js";
import { find, request, resultOf, serve } from "../src/rpc.js";
import { urlOf, urlOfPage } from "../src/transport.js";
import { Opened, connect, event, freePort } from "./peers.js";

class Counter {
    count = 0;

    add(by) {
        this.count += by;
        return this.count;
    }

    get computed() {
        return () => "never";
    }

    _private() {}
}

const FUNCTIONS = {
    counter: new Counter(),
    list: [() => "first"],
    map: new Map([["key", () => "value"]]),
    bytes: () => new Uint8Array([1, 2]),
    circle() {
        const value = {};
        value.value = value;
        return value;
    },
    big: () => 10n,
    empty: () => {
        throw new Error("");
    },
    remote: () => {
        throw new RemoteError("no", { why: 1 }, 418);
    },
};

describe("functions that peers may call", () => {
    it("are found by their own names, with their object", async () => {
        assert.equal(find(FUNCTIONS, ["counter", "add"])?.(5), 5);
        assert.equal(find(FUNCTIONS, ["list", "0"])?.(), "first");
    });

    for (const path of [
        "counter", [], null, ["nope"], ["counter"], ["counter", "count"], ["counter", "computed"], ["counter", "_private"],
        ["counter", "constructor"], ["constructor"], ["toString"], ["hasOwnProperty"], ["__proto__"], ["list", "push"],
        ["list", "length"], ["map", "clear"], ["map", "key"], ["counter", "add", "call"], ["bytes", "bind"], [5], Array(65).fill("counter"),
    ]) {
        it(`are not ${JSON.stringify(path)?.slice(0, 40)}`, () => assert.equal(find(FUNCTIONS, path), null));
    }

    for (const [name, wanted] of Object.entries({
        bytes: { result: "AQI=", bin: true },
        circle: { code: 500, details: "method: 'circle'" },
        big: { code: 500, details: "method: 'big'" },
        empty: { error: "Error", details: "method: 'empty'", code: 500 },
        remote: { error: "no", details: { why: 1 }, code: 418 },
        nope: { error: "Method not found!", details: "method: 'nope'", code: 404 },
    })) {
        it(`answer for ${name}`, async () => {
            const { error, ...rest } = /** @type {any} */ (await serve(FUNCTIONS, request([name], []), null));
            const { error: text, ...others } = /** @type {any} */ (wanted);
            assert.deepEqual(rest, others);
            if (text) assert.equal(error, text);
            else if (others.code) assert.ok(error);
        });
    }

    for (const message of [{ params: [] }, { bin: [] }, { params: [1], bin: ["0"] }, { params: ["!"], bin: [0] }]) {
        it(`refuse ${JSON.stringify(message)}`, async () => {
            const answer = await serve(FUNCTIONS, { method: ["bytes"], ...message }, null);
            assert.equal(/** @type {any} */ (answer).code, 500);
        });
    }

    it("fail by what the answer says", () => {
        assert.equal(resultOf({ result: 5, bin: false }), 5);
        assert.equal(resultOf({ bin: false }), undefined);
        assert.deepEqual(resultOf({ result: "AQI=", bin: true }), new Uint8Array([1, 2]));
        for (const message of [null, { error: {} }, { error: "x" }, { code: 500 }, { error: "", code: 500 }]) {
            assert.throws(() => resultOf(message), RemoteError);
        }
        assert.throws(() => resultOf({ result: "!", bin: true }), { message: "the result is not base64" });
    });
});

describe("events", () => {
    it("reach their listeners, and end with a signal", (context) => {
        const emitter = new Emitter();
        const heard = [];
        const stop = new AbortController();
        const report = context.mock.method(console, "error", () => {});
        emitter.on("x", () => {
            throw new Error("of the user");
        });
        const listener = (value) => heard.push(value);
        emitter.on("x", listener, { signal: stop.signal });
        emitter.once("x", (value) => heard.push(`once ${value}`));
        assert.ok(emitter.emit("x", 1));
        stop.abort();
        emitter.emit("x", 2);
        emitter.on("x", listener, { signal: stop.signal });
        emitter.emit("x", 3);
        emitter.on("x", listener).off("x", listener).emit("x", 4);
        assert.deepEqual(heard, [1, "once 1"]);
        assert.equal(report.mock.callCount(), 4);
        assert.ok(!emitter.emit("y"));
        assert.throws(() => emitter.on("x", /** @type {any} */ (null)), TypeError);
    });
});

describe("where to connect to", () => {
    it("is said in the seed's way, or by the page", () => {
        assert.equal(urlOf("ws", "127.0.0.1", 3000, "/"), "ws://127.0.0.1:3000/");
        assert.equal(urlOf("WSS", "::1", "443", "/x?y"), "wss://[::1]/x?y");
        assert.throws(() => urlOf("tcp", "h", 1, "/"), TypeError);
        assert.throws(() => urlOfPage("/"), TypeError);
    });
});

describe("a link", () => {
    /** @type {Opened} */
    let opened;
    beforeEach(() => {
        opened = new Opened();
    });
    afterEach(() => opened.close());

    it("is given up by a signal", async () => {
        const { server, port } = await opened.npmServer((socket) => socket.setRPC({ never: () => new Promise(() => {}) }));
        const peer = await connect(opened.ours(), port);
        const stop = new AbortController();
        const waiting = [
            peer.request(1, { signal: stop.signal }),
            peer.call("never", [], { signal: stop.signal }),
            connect(opened.ours(), await freePort(), { signal: stop.signal }),
        ];
        // The third fails by itself or by the signal; both are this side's business.
        stop.abort(new Error("enough"));
        for (const one of waiting) await assert.rejects(one, { message: "enough" });
        await assert.rejects(peer.request(1, { signal: stop.signal }), { message: "enough" });
        await assert.rejects(connect(opened.ours(), port, { signal: stop.signal }), { message: "enough" });
        assert.ok(server.hasPeer(peer._socket.id));
        assert.equal(peer.reason, null);
    });

    it("says at the call what cannot be said or done", async () => {
        const { port } = await opened.npmServer();
        const client = opened.ours();
        for (const options of [{ nonsense: 1 }, { replyTimeout: 0 }, { replyTimeout: "5" }]) {
            await assert.rejects(connect(client, port, options), TypeError);
        }
        const peer = await connect(client, port, { maxPendingReplies: 1 });
        const circle = {};
        circle.circle = circle;
        for (const value of [circle, 10n, () => {}]) assert.throws(() => peer.send(value), TypeError);
        const asked = peer.request(1, { timeout: 20 });
        assert.throws(() => peer.request(2), { name: "LimitExceeded" });
        await assert.rejects(asked, { name: "ReplyTimeout" });
        assert.throws(() => peer.rpc(), TypeError);
        assert.throws(() => client.setRPC(/** @type {any} */ (() => {})), TypeError);
        // Nothing is called when a stub is awaited by mistake.
        assert.equal(typeof await peer.rpc.hello, "function");
        assert.equal(peer.reason, null);
    });

    it("fails where nobody is, and with the second of its kind", async () => {
        const { port } = await opened.npmServer();
        const client = opened.ours();
        await assert.rejects(connect(client, await freePort(), { reconnect: true }), { name: "ConnectionClosed" });
        await connect(client, port);
        await assert.rejects(connect(client, port), { message: "Duplicated AnySocket ID found!" });
        assert.equal(client.peers.size, 1);
        await assert.rejects(client.connect("ws", "127.0.0.1", 1, /** @type {any} */ ({ WebSocket: () => {} })), TypeError);
    });

    const RECONNECT = { reconnect: { minDelay: 10, maxDelay: 40 } };

    it("is made again when it was lost, and tells of it", async () => {
        const first = await opened.polite();
        const client = opened.ours();
        const peer = await connect(client, first.port, RECONNECT);
        const news = [];
        client.on("reconnecting", (one) => news.push(one));
        const lost = event(peer, "disconnected");
        await first.stop();
        await lost;
        while (news.length < 3) await event(client, "reconnecting");
        assert.deepEqual(news.slice(0, 3).map(({ attempt }) => attempt), [1, 2, 3]);
        assert.equal(news[0].reason, "Remote Connection Closed");
        news.forEach(({ delay, attempt }) => assert.ok(delay >= 5 * 2 ** Math.min(attempt - 1, 2) && delay <= 40));
        const back = event(client, "connected");
        const second = opened.npm();
        second.on("message", (packet) => packet.reply(packet.msg));
        await second.listen("ws", { host: "127.0.0.1", port: first.port });
        const [again] = await back;
        assert.equal(again.id, second.id);
        assert.equal((await again.request("again")).msg, "again");
    });

    for (const [what, end] of Object.entries({
        "the peer was disconnected": (_client, peer) => peer.disconnect(),
        "the socket was stopped": (client) => client.stop(),
    })) {
        it(`is not made again when ${what}`, async () => {
            const { server, port } = await opened.npmServer();
            const client = opened.ours();
            client.on("reconnecting", () => assert.fail("it must not"));
            const peer = await connect(client, port, RECONNECT);
            const gone = event(server, "disconnected");
            await end(client, peer);
            await gone;
            // Whoever connects anew is not in the way of anything.
            await connect(client, port, RECONNECT);
        });
    }

    it("is not made again after so many attempts, or a signal, or a connect of the user's", async () => {
        const { port, stop: stopServer } = await opened.polite();
        const client = opened.ours();
        const stop = new AbortController();
        await connect(client, port, { reconnect: { minDelay: 10, maxDelay: 10, attempts: 2 } });
        const other = opened.ours();
        await connect(other, port, { reconnect: { minDelay: 60_000 }, signal: stop.signal });
        const third = opened.ours();
        await connect(third, port, { reconnect: { minDelay: 60_000 } });
        const attempts = [];
        client.on("reconnecting", ({ attempt }) => attempts.push(attempt));
        const waits = [event(other, "reconnecting"), event(third, "reconnecting")];
        await stopServer();
        await Promise.all(waits);
        stop.abort();
        await assert.rejects(connect(third, port, RECONNECT), { name: "ConnectionClosed" });
        while (attempts.length < 2) await event(client, "reconnecting");
        const last = opened.npm();
        await last.listen("ws", { host: "127.0.0.1", port });
        await connect(third, port);
        assert.deepEqual(attempts, [1, 2]);
    });

    it("ends when the remote is silent", async () => {
        const id = "0".repeat(32);
        const { port } = await opened.polite(id);
        const peer = await connect(opened.ours(), port, { heartbeatInterval: 20 });
        assert.equal((await event(peer, "disconnected"))[1], "Missed Heartbeats");
        await assert.rejects(connect(opened.ours({ id }), port), { message: "Duplicated AnySocket ID found!" });
    });

    it("ends with a binary message", async () => {
        const { port } = await opened.raw((ws) => ws.send(Buffer.from([1])));
        await assert.rejects(connect(opened.ours(), port), { message: "Invalid Packet!" });
    });

    it("does not wait for ever", async () => {
        const { port } = await opened.raw(() => {});
        await assert.rejects(connect(opened.ours(), port, { authTimeout: 30 }), { message: "auth timed out" });
    });
});
