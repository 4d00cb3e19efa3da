"use strict";
// A server of "Hello World" with node:http. It picks a free port and prints it.

const http = require("node:http");

const server = http.createServer((request, response) => {
    response.writeHead(200, { "Content-Type": "text/plain", "Content-Length": 11 });
    response.end("Hello World");
});
// Idle connections are measured for longer than the 5 s that are usual here.
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => console.log(`ready ${server.address().port}`));
