"use strict";
// An echo server with the npm package anysocket: messages, and the function `echo`. Usage: node npm_anysocket.js PORT

const AnySocket = require("anysocket");

const port = Number(process.argv[2]);
const server = new AnySocket();
server.on("message", packet => {
    packet.reply(packet.msg);
});
server.setRPC({ echo: value => value });

// It takes the address as `host`; `ip` is only for connecting. Port 0 would become port 80, and
// nothing tells which port it listens on, so the port has to be chosen by whoever starts this.
server.listen("ws", { port, host: "127.0.0.1" }).then(() => console.log(`ready ${port}`));
