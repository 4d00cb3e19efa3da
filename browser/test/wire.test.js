import assert from "node:assert/strict";
import { createECDH } from "node:crypto";
import { describe, it } from "node:test";
import { Keys, Offer, Session, agree, answer, fingerprint } from "../src/e2e.js";
import { CHUNK, cut, encodeForwardHead, encodeHead, isId, newId, parseForward, parseHead } from "../src/packet.js";
import { Packer, fromHex, toHex } from "../src/packer.js";
import { Seen, following } from "../src/sequence.js";
import { vectors } from "./vectors.js";

describe("packets", () => {
    it("writes and reads the numbers of the vectors", () => {
        for (const { value, text } of vectors("packer").int32) {
            assert.equal(encodeHead(3, value), `13${text}`);
            if (value) assert.deepEqual(parseHead(`23${text}x`), { last: false, kind: 3, seq: value });
        }
    });

    it("writes and reads the ids of the vectors", () => {
        for (const { id, text } of vectors("packer").ids) {
            assert.equal(encodeForwardHead(id, id), `6${text}${text}`);
            assert.deepEqual(parseForward(`6${text}${text}rest`), { to: id, from: id, nested: "rest" });
        }
    });

    it("packs the bytes of the vectors", () => {
        for (const { hex, packed } of vectors("packer").bytes) {
            assert.equal(Packer.pack(fromHex(hex)), packed);
            assert.equal(toHex(Packer.unpack(packed)), hex);
        }
    });

    it("packs what is large, a view, and without padding", () => {
        const large = new Uint8Array(200_000).map((_, at) => at);
        assert.deepEqual(Packer.unpack(Packer.pack(large)), large);
        assert.equal(Packer.pack(large.subarray(1, 4)), "AQID");
        assert.equal(Packer.pack(new Uint16Array([0x201]).buffer), "AQI=");
        assert.deepEqual([...Packer.unpack("AQI")], [1, 2]);
        assert.throws(() => Packer.unpack("!"));
    });

    for (const frame of ["", "1", "x3\0\0\0\x01", "10\0\0\0\x01", "16\0\0\0\x01", "13\0\0\x01", "13\0\0\0\u0100", "13\0\0\0\0{}"]) {
        it(`refuses ${JSON.stringify(frame)}`, () => {
            assert.throws(() => parseHead(frame), { name: "ProtocolError", message: "Invalid Packet!" });
        });
    }

    it("cuts where npm does, but never a surrogate pair", () => {
        assert.deepEqual(cut("x".repeat(CHUNK)).map((chunk) => chunk.length), [CHUNK]);
        assert.deepEqual(cut("x".repeat(CHUNK + 1)).map((chunk) => chunk.length), [CHUNK, 1]);
        const straddling = `${"x".repeat(CHUNK - 1)}\u{1f600}!`;
        assert.deepEqual(cut(straddling).map((chunk) => chunk.length), [CHUNK - 1, 3]);
        assert.equal(cut(straddling).join(""), straddling);
    });

    it("makes ids of its own kind", () => {
        assert.match(newId(), /^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$/);
        assert.ok(!isId(newId().toUpperCase()));
        assert.equal(parseForward("6short"), null);
        assert.equal(parseForward(`6${"\u0100".repeat(32)}`), null);
    });
});

describe("sequence numbers", () => {
    it("lets each pass once, in nearly any order", () => {
        const seen = new Seen();
        assert.deepEqual([1, 2, 5, 3, 5, 3, 4, 1, 6].map((seq) => seen.isNew(seq)), [
            true, true, true, true, false, false, true, false, true,
        ]);
    });

    it("goes round after the last", () => {
        assert.equal(following(0x7fffffff), 1);
        const seen = new Seen();
        for (const seq of [0x40000000, 0x7ffffffe, 0x7fffffff, 1]) assert.ok(seen.isNew(seq));
        assert.ok(!seen.isNew(0x7fffffff));
    });

    it("forgets the oldest gaps", () => {
        const seen = new Seen();
        assert.ok(seen.isNew(10_000));
        assert.ok(seen.isNew(9_999));
        assert.ok(!seen.isNew(1));
    });

    it("forgets the oldest of several gaps, and no other", () => {
        const seen = new Seen();
        for (const seq of [3, 5, 5 + 4095]) assert.ok(seen.isNew(seq));
        assert.deepEqual([1, 2, 2, 4, 6, 4098, 4098].map((seq) => seen.isNew(seq)), [
            false, true, false, true, true, true, false,
        ]);
        assert.ok(seen.isNew(5 + 2 * 4096));
        assert.ok(!seen.isNew(7));
        assert.ok(seen.isNew(4 + 2 * 4096));
    });

    it("lets each pass once where they go round", () => {
        const seen = new Seen();
        for (const seq of [0x40000000, 0x7ffffffd]) assert.ok(seen.isNew(seq));
        assert.deepEqual([2, 0x7fffffff, 1, 0x7ffffffe, 3, 1, 2, 0x7fffffff].map((seq) => seen.isNew(seq)), [
            true, true, true, true, true, false, false, false,
        ]);
    });
});

/** Keys as the vectors have them. */
async function keysOf(privateHex, publicBase64, nonce) {
    const point = Packer.unpack(publicBase64);
    const url = (bytes) => Buffer.from(bytes).toString("base64url");
    const jwk = {
        kty: "EC", crv: "P-521", d: url(fromHex(privateHex)), x: url(point.slice(1, 67)), y: url(point.slice(67)),
    };
    const key = await crypto.subtle.importKey("jwk", jwk, { name: "ECDH", namedCurve: "P-521" }, false, ["deriveBits"]);
    return new Keys(key, point, nonce);
}

describe("encryption", () => {
    const crypt = vectors("crypto");

    for (const [index, exchange] of crypt.key_exchanges.entries()) {
        it(`derives the keys of exchange ${index}`, async () => {
            const initiator = await keysOf(
                exchange.initiator_private_hex, exchange.initiator_public_base64, exchange.initiator_nonce);
            const theirs = new Offer(Packer.unpack(exchange.responder_public_base64), exchange.responder_nonce);
            assert.equal(await initiator.secret(theirs), exchange.secret);
            const session = await Session.make(
                exchange.secret, exchange.initiator_nonce + exchange.responder_nonce, exchange.initiator_id);
            for (const [number, key] of Object.entries(exchange.packet_keys)) {
                assert.equal(toHex(await session.keyBytes(Number(number))), key);
            }
        });
    }

    for (const name of ["e2e-client-initiator", "e2e-server-initiator", "e2e-small-chunks"]) {
        it(`reads every encrypted frame of ${name}`, async () => {
            const { keys, frames } = vectors(name);
            const session = await Session.make(
                keys.secret, keys.initiator.nonce + keys.responder.nonce, keys.initiator_id);
            let read = 0;
            for (const { text, plain, packet_key: key } of frames) {
                if (!key || text === undefined || plain === undefined) continue;
                const { seq } = parseHead(text);
                assert.equal(await session.open(Math.abs(seq), text.slice(6)), plain);
                read++;
            }
            assert.ok(read > 2, `${read} frames`);
        });
    }

    it("opens what it sealed, and nothing else", async () => {
        const session = await Session.make("0".repeat(128), "1".repeat(128), newId());
        for (const text of ["", "x", "0123456789abcdef", '"\u00e9\u{1f600}"', "\ufeffbom"]) {
            const payload = await session.seal(7, text);
            assert.match(payload, /^([0-9a-f]{32}){2,}$/);
            assert.equal(await session.open(7, payload), text);
            await assert.rejects(session.open(8, payload), { message: "Invalid Packet!" });
        }
        const sealed = await session.seal(1, "text");
        for (const broken of ["", "zz", sealed.slice(2), sealed.slice(0, 32), `${sealed}00`]) {
            await assert.rejects(session.open(1, broken), { detail: "a payload that cannot be decrypted" });
        }
    });

    it("refuses offers that are none", async () => {
        const good = (await Keys.make()).message();
        const off = Uint8Array.from({ length: 133 }, (_, at) => (at ? 1 : 4));
        for (const value of [null, 5, {}, { ...good, nonce: "ab" }, { ...good, key: "?" }, { ...good, key: "AAAA" }]) {
            assert.throws(() => Offer.parse(value), { message: "Invalid Packet!" });
        }
        const mine = await Keys.make();
        await assert.rejects(mine.secret(Offer.parse({ ...good, key: Packer.pack(off) })), { message: "Invalid Packet!" });
    });

    it("agrees when both began, and when one answered", async () => {
        const [low, high] = [newId(), newId()].sort();
        const a = await Keys.make();
        const b = await Keys.make();
        const [ofA, rivalA] = await agree(a, Offer.parse(b.message()), low, high);
        const [ofB, rivalB] = await agree(b, Offer.parse(a.message()), high, low);
        assert.equal(rivalA ?? rivalB, null);
        assert.equal(await ofB.open(1, await ofA.seal(1, "both")), "both");
        const c = await Keys.make(a);
        const [led, none] = await agree(a, Offer.parse(c.message()), low, high);
        assert.equal(none, null);
        const answered = await answer(c, a, low);
        assert.equal(await answered.open(2, await led.seal(2, "one")), "one");
        assert.equal(await fingerprint(a, c), await fingerprint(c, a));
    });

    it("keeps both possibilities where the other is npm anysocket", async () => {
        const ours = await Keys.make();
        const ecdh = createECDH("secp521r1");
        const key = ecdh.generateKeys("base64");
        const theirs = Offer.parse({ key, nonce: "ab".repeat(32) });
        const [session, rival] = await agree(ours, theirs, newId(), newId());
        assert.ok(session && rival);
    });
});
