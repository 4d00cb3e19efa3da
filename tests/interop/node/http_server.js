// An HTTP server for a foreign client: it says on stdout where it listens, and ends with stdin.
"use strict";

const crypto = require("crypto");
const http = require("http");

const PIECE = 65536;
let connections = 0;

function send(response, left) {
  while (left > 0) {
    const size = Math.min(left, PIECE);
    left -= size;
    if (!response.write(Buffer.alloc(size, 120)))
      return response.once("drain", () => send(response, left));
  }
  response.end();
}

const routes = {
  "/echo"(request, response) {
    response.writeHead(200, { "X-Framing": request.headers["content-length"] || request.headers["transfer-encoding"] || "none" });
    request.pipe(response);
  },
  "/digest"(request, response) {
    const hash = crypto.createHash("sha256");
    let size = 0;
    request.on("data", (chunk) => { hash.update(chunk); size += chunk.length; });
    request.on("end", () => response.end(JSON.stringify({ size, sha256: hash.digest("hex"), method: request.method })));
  },
  "/connections"(request, response) { response.end(String(connections)); },
  "/length"(request, response) { response.setHeader("Content-Length", 5); response.end("hello"); },
  "/pieces"(request, response) {
    response.write("one ");
    setImmediate(() => { response.write("two "); setImmediate(() => response.end("three")); });
  },
  "/trailers"(request, response) {
    response.writeHead(200, { Trailer: "X-Sum" });
    response.write("body");
    response.addTrailers({ "X-Sum": "1" });
    response.end();
  },
  "/204"(request, response) { response.writeHead(204); response.end(); },
  "/304"(request, response) { response.writeHead(304, { ETag: '"x"' }); response.end(); },
  "/hints"(request, response) {
    response.writeProcessing();
    response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
    response.end("hinted");
  },
  "/headers"(request, response) {
    response.setHeader("Set-Cookie", ["a=1", "b=2"]);
    response.end(JSON.stringify(request.rawHeaders));
  },
  "/big"(request, response, query) {
    if (query.has("length")) response.setHeader("Content-Length", query.get("size"));
    send(response, Number(query.get("size")));
  },
  "/close"(request, response) { response.setHeader("Connection", "close"); response.end("last"); },
  "/http10"(request, response) { response.shouldKeepAlive = false; response.useChunkedEncodingByDefault = false; response.end("old"); },
  "/destroy"(request, response) { response.write("half"); setImmediate(() => response.destroy()); },
  "/early"(request, response) { response.writeHead(413, { "Content-Length": 8 }); response.end("too much"); },
};

function answer(request, response) {
  const url = new URL(request.url, "http://test");
  const route = routes[url.pathname];
  if (route) return route(request, response, url.searchParams);
  response.writeHead(404);
  response.end();
}

const server = http.createServer(answer);
server.on("checkContinue", (request, response) => {
  if (request.headers["x-refuse"]) {
    response.writeHead(417, { Connection: "close" });
    return response.end("no");
  }
  response.writeContinue();
  answer(request, response);
});
server.on("connection", () => connections++);
// Some tests wait for this end of an idle connection.
server.keepAliveTimeout = Number(process.argv[2]) || 5000;
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit()).resume();
