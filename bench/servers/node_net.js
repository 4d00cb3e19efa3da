"use strict";
// An echo server with node:net. It picks a free port and prints it.

const net = require("node:net");

const server = net.createServer({ noDelay: true }, socket => {
    socket.on("data", data => socket.write(data));
});
server.listen(0, "127.0.0.1", () => console.log(`ready ${server.address().port}`));
