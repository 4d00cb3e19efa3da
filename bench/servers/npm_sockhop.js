"use strict";
// The npm package sockhop: it echoes requests, and counts messages for who asks for a callback.
// Usage: node npm_sockhop.js PORT|PATH

const { server: SockhopServer, session: SockhopSession } = require("sockhop");

class Counting extends SockhopSession {
    constructor(sock, server) {
        super(sock, server);
        this.received = 0;
    }
}

// Port 0 would become port 50000, so whoever starts this has to choose one.
const address = process.argv[2];
const place = address.includes("/") ? { path: address } : { port: Number(address) };
const server = new SockhopServer({ ...place, session_type: Counting });
server.on("request", (req, res) => {
    res.send(req.data);
});
server.on("receive", (message, meta) => {
    meta.session.received++;
    if (meta.callback) meta.callback(meta.session.received);
});
server.listen().then(() => console.log(`ready ${address}`));
