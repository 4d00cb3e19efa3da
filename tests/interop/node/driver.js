// One npm anysocket instance, driven line by line; driving.js says how.
"use strict";
const fs = require("fs");
const path = require("path");
const vm = require("vm");
const { pack, say, serve } = require("./driving");

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
    // Deaf for so many milliseconds: what comes meanwhile is read together.
    busy: async (milliseconds) => {
        say({ event: "busy" });
        const until = Date.now() + milliseconds;
        while (Date.now() < until);
    },
    has_direct_peer: async (peer) => socket.hasDirectPeer(peer),
    is_proxy: async (peer) => peers[peer].isProxy(),
    has_peer: async (peer) => socket.hasPeer(peer),
};

serve(commands, { peer: socket.id });
