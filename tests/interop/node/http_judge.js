// How Node's HTTP server reads what a connection sends. Each input comes on stdin as one byte
// (1: a request may lack its Host), four bytes of length, and the bytes; each answer leaves on
// stdout as one line of JSON: {requests: [{method, url, version, headers, body, complete}], end},
// where end is "open", "closed", or why Node refused; bytes are in latin-1.
"use strict";
const http = require("http");
const { Duplex } = require("stream");

function makeServer(options) {
    const server = http.createServer(options, (request, response) => {
        const reading = request.socket.reading;
        const read = {
            method: request.method,
            url: request.url,
            version: request.httpVersion,
            headers: request.rawHeaders,
            body: "",
            complete: false,
        };
        reading.requests.push(read);
        request.setEncoding("latin1");
        request.on("error", () => {});
        request.on("data", (chunk) => (read.body += chunk));
        request.on("end", () => {
            read.complete = true;
            // Without a length Node would close after HTTP/1.0.
            response.writeHead(200, { "Content-Length": 0 });
            response.end();
        });
    });
    server.on("connect", (request, socket) => {
        socket.reading.end = "CONNECT";
    });
    server.on("clientError", (error, socket) => {
        // Not destroyed yet: the requests before the bad one come to their end.
        socket.reading.end = error.code || String(error);
    });
    return server;
}

const servers = [makeServer({}), makeServer({ requireHostHeader: false })];

function turns(count, then) {
    setImmediate(() => (count > 1 ? turns(count - 1, then) : then()));
}

// All that a stream and a server do about one piece of data takes ticks, which come before the
// next immediate.
function read(server, input, then) {
    const reading = { requests: [], end: "open" };
    let sent = "";
    const socket = new Duplex({
        read() {},
        write(data, encoding, done) {
            sent += data.toString("latin1");
            done();
        },
    });
    socket.reading = reading;
    socket.on("error", () => {});
    server.emit("connection", socket);
    // Behind an upgrade that it ignores, Node forgets what came in the same piece.
    const size = /upgrade/i.test(input.toString("latin1")) ? 1 : input.length;
    for (let at = 0; at < input.length; at += size) socket.push(input.subarray(at, at + size));
    turns(3, () => {
        const refused = sent.match(/HTTP\/1\.1 [45]\d\d/);
        if (reading.end === "HPE_CLOSED_CONNECTION") reading.end = "closed";
        if (reading.end === "open" && (socket.destroyed || socket.writableEnded)) reading.end = "closed";
        if (reading.end === "closed" && refused) reading.end = refused[0];
        socket.destroy();
        then(reading);
    });
}

let waiting = Buffer.alloc(0);
let busy = false;
let ended = false;

function next() {
    if (busy) return;
    if (waiting.length >= 5 && waiting.length >= 5 + waiting.readUInt32BE(1)) {
        const end = 5 + waiting.readUInt32BE(1);
        // A copy: the server may keep a view of what it was given.
        const input = Buffer.from(waiting.subarray(5, end));
        const server = servers[waiting[0]];
        waiting = waiting.subarray(end);
        busy = true;
        read(server, input, (reading) => {
            process.stdout.write(JSON.stringify(reading) + "\n");
            busy = false;
            next();
        });
    } else if (ended) {
        process.exit(0);
    }
}

process.stdin.on("data", (data) => {
    waiting = Buffer.concat([waiting, data]);
    next();
});
process.stdin.on("end", () => {
    ended = true;
    next();
});
