"use strict";
// The npm package anysocket as a client with so many requests under way.
// Usage: node npm_anysocket_client.js PORT OUTSTANDING

const AnySocket = require("anysocket");

const port = Number(process.argv[2]);
const outstanding = Number(process.argv[3]);
const payload = "The quick brown fox jumps over the lazy dog 0123456789, The qu";

const sleep = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

async function ask(peer) {
    for (;;) {
        const reply = await peer.send(payload, true);
        if (reply.msg !== payload) process.exit(1);
    }
}

async function main() {
    console.log(`ready ${port}`);
    const client = new AnySocket();
    let peer = null;
    // The server starts when this is ready.
    while (!peer) peer = await client.connect("ws", "127.0.0.1", port).catch(() => sleep(10));
    // A request that fails tells that the server ended the measurement.
    for (let i = 0; i < outstanding; i++) ask(peer).catch(() => {});
}

// Whoever started this ends it.
setInterval(() => {}, 60000);
main();
