// One npm anysocket instance, driven line by line: commands come as JSON on stdin, answers and
// events go as JSON to stdout. What JSON lacks is tagged: {$bytes: hex}, {$undefined: true},
// {$repeat: [text, count, tail]}; a long text comes back as {$text: [length, sha256]}.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const path = require("path");
const readline = require("readline");
const vm = require("vm");

let AnySocket;
if (process.argv.includes("--browser")) {
    // The bundle is a classic script for a window; Node has all else that it wants.
    globalThis.window = globalThis;
    globalThis.document = {};
    const file = path.join(__dirname, "node_modules/anysocket/dist/anysocket.browser.js");
    vm.runInThisContext(fs.readFileSync(file, "utf8"), { filename: file });
    AnySocket = globalThis.AnySocket;
} else {
    AnySocket = require("anysocket");
}

const output = process.stdout;
console.log = console.error = () => {};

function pack(value) {
    if (value === undefined) return { $undefined: true };
    if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("hex") };
    if (typeof value === "string" && value.length > 10000) {
        return { $text: [value.length, crypto.createHash("sha256").update(value).digest("hex")] };
    }
    if (value instanceof Error) return { $error: value.message };
    if (Array.isArray(value)) return value.map(pack);
    if (value && typeof value === "object") {
        return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, pack(item)]));
    }
    return value;
}

function unpack(value) {
    if (Array.isArray(value)) return value.map(unpack);
    if (value && typeof value === "object") {
        if ("$bytes" in value) return Buffer.from(value.$bytes, "hex");
        if ("$undefined" in value) return undefined;
        if ("$repeat" in value) return value.$repeat[0].repeat(value.$repeat[1]) + (value.$repeat[2] || "");
        return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unpack(item)]));
    }
    return value;
}

function say(message) {
    output.write(JSON.stringify(message) + "\n");
}

const socket = new AnySocket();
const peers = {};
let lastMessage = null;

const rpc = {
    hello: {
        user: (name) => "Hello " + name,
        later: (name) => new Promise((resolve) => setTimeout(() => resolve("Later " + name), 10)),
        nothing: () => undefined,
        nil: () => null,
        whoami: (peer) => peer.id,
        bytes: (data) => Buffer.concat([Buffer.from(data), Buffer.from([0, 254, 255])]),
    },
    fail: {
        thrown: () => { throw new Error("thrown here"); },
        text: () => Promise.reject("rejected with text"),
        object: () => Promise.reject({ why: "because" }),
        error: () => Promise.reject(new Error("lost on the way")),
        never: () => new Promise(() => {}),
    },
    math: {
        base: 10,
        add: function (a, b) { return this.base + a + b; },
    },
};
socket.setRPC(rpc);

let mode = "echo";
socket.on("connected", (peer) => {
    peers[peer.id] = peer;
    say({ event: "connected", peer: peer.id });
});
socket.on("disconnected", (peer, reason) => {
    delete peers[peer.id];
    say({ event: "disconnected", peer: peer.id, reason: pack(reason) });
});
socket.on("e2e", (peer) => say({ event: "e2e", peer: peer.id }));
socket.on("message", (packet) => {
    lastMessage = packet;
    if (mode === "echo") packet.reply(packet.msg);
    say({ event: "message", peer: packet.peer.id, msg: pack(packet.msg), seq: packet.seq });
});

const commands = {
    id: async () => socket.id,
    listen: async (options) => { await socket.listen("ws", options); return options.port; },
    connect: async (host, port, options) => {
        const peer = await socket.connect("ws", host, port, options);
        peers[peer.id] = peer;
        return peer.id;
    },
    on_auth: async (expected) => { socket.onAuth = (packet) => packet.auth === expected; },
    auth_packet: async (value) => { socket.authPacket = () => value; },
    mode: async (name) => { mode = name; },
    send: async (peer, value) => { peers[peer].send(value); },
    request: async (peer, value, timeout) => (await peers[peer].send(value, true, timeout)).msg,
    reply: async (value) => { lastMessage.reply(value); },
    broadcast: async (value) => { socket.broadcast(value); },
    rpc: async (peer, names, args) => {
        let stub = peers[peer].rpc;
        for (const name of names) stub = stub[name];
        return await stub(...args);
    },
    synced_time: async (peer) => await peers[peer].getSyncedTime(true),
    disconnect: async (peer, reason) => { peers[peer].disconnect(reason); },
    stop: async () => { await socket.stop(); },
    e2e: async (peer) => { peers[peer].e2e(); },
    e2e_and_send: async (peer, values) => {
        peers[peer].e2e();
        for (const value of values) peers[peer].send(value);
    },
    e2e_then_send: async (peer, values) => {
        peers[peer].once("e2e", () => { for (const value of values) peers[peer].send(value); });
        peers[peer].e2e();
    },
    is_e2e: async (peer) => peers[peer].isE2EEnabled(),
    can_proxy: async (verdict) => { socket.canProxy = () => verdict; },
    proxy: async (peer, through) => {
        const proxied = await socket.proxy(peer, through);
        peers[proxied.id] = proxied;
        return proxied.id;
    },
    unproxy: async (peer, through, reason) => { socket.unproxy(peer, through, reason); },
    has_direct_peer: async (peer) => socket.hasDirectPeer(peer),
    is_proxy: async (peer) => peers[peer].isProxy(),
    has_peer: async (peer) => socket.hasPeer(peer),
};

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
    const { id, command, args } = JSON.parse(line);
    try {
        say({ id, result: pack(await commands[command](...unpack(args))) });
    } catch (error) {
        say({ id, error: pack(error) });
    }
}).on("close", () => process.exit(0));

process.on("unhandledRejection", (error) => say({ event: "unhandled", error: pack(error) }));
say({ event: "started", peer: socket.id });
