// Against npm anysocket 0.4.29: as its client, and as both ends of a link that it relays.
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { RemoteError } from "../src/index.js";
import { Opened, connect, event } from "./peers.js";

/** @type {Opened} */
let opened;
beforeEach(() => {
    opened = new Opened();
});
afterEach(() => opened.close());

const FUNCTIONS = {
    hello: {
        user: (name) => `Hello ${name}`,
        later: async (name) => `Later ${name}`,
        bytes: (data) => Buffer.from([...data, 255]),
        nothing: () => undefined,
        nil: () => null,
        whoami: (peer) => peer.id,
        error: () => {
            throw new Error("thrown here");
        },
        rejected: () => Promise.reject(new Error("lost on the way")),
    },
    math: {
        base: 10,
        add(a, b) {
            return this.base + a + b;
        },
    },
};

describe("as a client of npm anysocket", () => {
    it("authenticates, and is refused", async () => {
        const { server, port } = await opened.npmServer((socket) => {
            socket.onAuth = (packet) => packet.auth === "secret";
            socket.authPacket = () => "of the server";
        });
        const shown = [];
        const client = opened.ours({
            authPacket: () => "secret",
            onAuth: async (packet) => shown.push(packet.auth) === 1,
        });
        const there = event(server, "connected");
        const peer = await connect(client, port);
        assert.equal(peer.id, server.id);
        assert.equal((await there)[0].id, client.id);
        assert.deepEqual(shown, ["of the server"]);
        assert.ok(client.hasDirectPeer(server.id));
        for (const options of [{}, { authPacket: () => "secret", onAuth: () => false }]) {
            await assert.rejects(connect(opened.ours(options), port), { name: "ConnectionClosed" });
        }
    });

    it("sends values of every kind both ways, and replies", async () => {
        const { server, port } = await opened.npmServer();
        server.on("message", (packet) => packet.reply({ got: packet.msg }));
        const client = opened.ours();
        client.on("message", (packet) => packet.reply({ back: packet.msg }));
        const there = event(server, "connected");
        const peer = await connect(client, port);
        const values = [1, 0, "", false, null, "caf\u00e9 \u{1f600} \u2028 \ud83d", [1, [2]], { a: { b: null } }, "x".repeat(3 << 20)];
        for (const value of values) {
            const { msg, seq } = await peer.request(value);
            assert.deepEqual(msg.got, value);
            assert.ok(seq > 1);
        }
        assert.deepEqual((await peer.send({ seed: true }, true, 1000)).msg, { got: { seed: true } });
        assert.deepEqual((await peer.request(undefined)).msg, { got: {} });
        const [theirs] = await there;
        assert.deepEqual((await theirs.send({ question: 1 }, true)).msg, { back: { question: 1 } });
        assert.deepEqual((await client.broadcast("all", true)).map(({ msg }) => msg), [{ got: "all" }]);
    });

    it("calls functions, and is called", async () => {
        const { server, port } = await opened.npmServer((socket) => socket.setRPC(FUNCTIONS));
        const client = opened.ours({ rpc: FUNCTIONS });
        const there = event(server, "connected");
        const ours = (await connect(client, port)).rpc;
        const theirs = (await there)[0].rpc;
        for (const rpc of [ours, theirs]) {
            assert.equal(await rpc.hello.user("Ada"), "Hello Ada");
            assert.equal(await rpc.hello.later("Ada"), "Later Ada");
            assert.equal(await rpc.hello.nothing(), undefined);
            assert.equal(await rpc.hello.nil(), null);
            assert.equal(await rpc.math.add(1, 2), 13);
            assert.deepEqual([...await rpc.hello.bytes(Buffer.from([1, 254]))], [1, 254, 255]);
        }
        assert.equal(await ours.hello.whoami(), client.id);
        assert.deepEqual([...await ours.hello.bytes(new Uint8Array([7]))], [7, 255]);
        await assert.rejects(ours.hello.error(), (error) => {
            assert.ok(error instanceof RemoteError);
            assert.deepEqual([error.message, error.error, error.code], ["thrown here", "thrown here", 500]);
            return true;
        });
        await assert.rejects(ours.hello.rejected(), { message: "the remote function failed", code: 500 });
        await assert.rejects(ours.hello.nope(1), { code: 404, details: "method: 'hello,nope'" });
        await assert.rejects(theirs.hello.rejected(), { error: "lost on the way", code: 500 });
    });

    it("measures clocks, and answers", async () => {
        const { server, port } = await opened.npmServer();
        const there = event(server, "connected");
        const peer = await connect(opened.ours(), port);
        const { time, rtt, offset } = await peer.getSyncedTime();
        assert.ok(Math.abs(time - Date.now()) < 1000 && rtt >= 0 && Math.abs(offset) < 1000);
        const synced = await (await there)[0].getSyncedTime(true);
        assert.ok(Math.abs(synced.offset) < 1000);
    });

    for (const who of ["ours", "npm's"]) {
        it(`encrypts, when ${who} begins`, async () => {
            const { server, port } = await opened.npmServer((socket) => socket.setRPC(FUNCTIONS));
            server.on("message", (packet) => packet.reply({ got: packet.msg }));
            const client = opened.ours();
            client.on("message", (packet) => packet.reply({ back: packet.msg }));
            const there = event(server, "connected");
            const peer = await connect(client, port);
            const [theirs] = await there;
            const done = [event(client, "e2e"), event(server, "e2e")];
            if (who === "ours") {
                const early = peer.request("behind the switch");
                await peer.e2e();
                assert.deepEqual((await early).msg, { got: "behind the switch" });
            } else {
                theirs.e2e();
            }
            await Promise.all(done);
            assert.deepEqual([peer.isE2EEnabled(), peer.security, peer.fingerprint?.length], [true, "legacy", 32]);
            assert.deepEqual((await peer.request({ secret: "\u{1f600}" })).msg, { got: { secret: "\u{1f600}" } });
            assert.deepEqual((await theirs.send({ q: 1 }, true)).msg, { back: { q: 1 } });
            assert.equal(await peer.rpc.hello.user("Ada"), "Hello Ada");
            const large = "\u{1f600}x".repeat(900_000);
            assert.equal((await peer.request(large)).msg.got, large);
            const all = await Promise.all(Array.from({ length: 200 }, (_, at) => peer.request(at)));
            // npm sends {} for 0, but not within an object.
            assert.deepEqual(all.map(({ msg }) => msg.got), Array.from({ length: 200 }, (_, at) => at));
            const beat = event(peer, "heartbeat");
            peer.heartbeat();
            await beat;
            assert.ok((peer.lag ?? -1) >= 0);
        });
    }

    it("learns that the server left, and says so when it leaves", async () => {
        const { server, port } = await opened.npmServer();
        const client = opened.ours();
        const peer = await connect(client, port);
        const waiting = peer.request("never answered");
        const gone = event(server, "disconnected");
        peer.disconnect("enough");
        await assert.rejects(waiting, { name: "ConnectionClosed", message: "enough" });
        assert.equal((await gone)[1], "Remote Connection Closed");
        assert.equal(peer.reason, "enough");
        await assert.rejects(peer.send(1), { message: "Cannot send message. Peer is disconnected" });
        const again = await connect(client, port);
        const reason = event(again, "disconnected");
        await server.stop();
        assert.equal((await reason)[1], "Remote Connection Closed");
        assert.equal(client.peers.size, 0);
    });
});

describe("through an npm relay", () => {
    async function triangle(npmEnd) {
        const { server, port } = await opened.npmServer((socket) => {
            socket.canProxy = () => true;
        });
        const a = opened.ours({ rpc: FUNCTIONS });
        await connect(a, port);
        if (!npmEnd) {
            const b = opened.ours({ rpc: FUNCTIONS });
            await connect(b, port);
            return { server, a, b };
        }
        const b = opened.npm();
        b.setRPC(FUNCTIONS);
        const arrived = event(b, "connected");
        await b.connect("ws", "127.0.0.1", port);
        await arrived;
        return { server, a, b };
    }

    for (const npmEnd of [false, true]) {
        for (const asks of ["a", "b"]) {
            it(`${asks} reaches the other, ${npmEnd ? "npm's" : "one of ours"} is b`, async () => {
                const { server, a, b } = await triangle(npmEnd);
                for (const end of [a, b]) end.on("message", (packet) => packet.reply({ got: packet.msg }));
                const [asker, other] = asks === "a" ? [a, b] : [b, a];
                const told = event(other, "connected");
                const peer = await asker.proxy(other.id, server.id);
                const [back] = await told;
                assert.ok(peer.isProxy() && back.isProxy());
                assert.ok(asker.hasPeer(other.id) && !asker.hasDirectPeer(other.id));
                assert.deepEqual((await peer.send({ hi: 1 }, true)).msg, { got: { hi: 1 } });
                assert.deepEqual((await back.send({ hi: 2 }, true)).msg, { got: { hi: 2 } });
                const ends = [event(a, "e2e"), event(b, "e2e")];
                await peer.e2e();
                await Promise.all(ends);
                assert.deepEqual((await peer.send({ secret: 1 }, true)).msg, { got: { secret: 1 } });
                assert.equal(await back.rpc.hello.user("Ada"), "Hello Ada");
                const large = "x".repeat(2_500_000);
                assert.equal((await peer.send({ large }, true)).msg.got.large, large);
                const left = event(other, "disconnected");
                peer.disconnect("enough");
                assert.equal((await left)[1], "Proxy Connection Closed");
                assert.ok(!other.hasPeer(asker.id) && other.hasPeer(server.id));
            });
        }
    }

    it("says its last words before it leaves, and may come back", async () => {
        const { server, a, b } = await triangle(false);
        const heard = [];
        b.on("message", ({ msg }) => heard.push(msg));
        for (let round = 0; round < 3; round++) {
            const peer = await a.proxy(b.id, server.id);
            await peer.e2e();
            const left = event(b, "disconnected");
            for (let at = 0; at < 10; at++) peer.send(at);
            peer.disconnect();
            assert.equal((await left)[1], "Proxy Connection Closed");
        }
        assert.deepEqual(heard, Array.from({ length: 30 }, (_, at) => at % 10));
        const peer = await a.proxy(b.id, server.id);
        await peer.e2e();
        peer.send("still on its way");
        peer.disconnect();
        const again = await a.proxy(b.id, server.id);
        again.send("again");
        while (heard.at(-1) !== "again") await event(b, "message");
        assert.equal(again.reason, null);
    });

    it("loses what it reached with the relay", async () => {
        const { server, a, b } = await triangle(false);
        const peer = await a.proxy(b.id, server.id);
        assert.equal(await a.proxy(b.id, server.id), peer);
        const ends = [event(peer, "disconnected"), event(b, "disconnected")];
        a.peers.get(server.id)?.disconnect();
        assert.equal((await ends[0])[1], "Proxy Connection Closed");
        await ends[1];
    });

    it("refuses ids that make no sense", async () => {
        const { server, a, b } = await triangle(false);
        for (const [id, through] of [[a.id, server.id], [server.id, server.id], ["x", server.id], [b.id, b.id.slice(0, 31) + "0"]]) {
            await assert.rejects(a.proxy(id, through), TypeError);
        }
    });
});
