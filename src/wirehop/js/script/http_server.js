// The server's side of node.http (seed: Node 0.1.0, "node.http.Server").

function ServerRequest() {}
inherits(ServerRequest, IncomingMessage);

lazy(ServerRequest.prototype, "uri", (request) => parseUri(request._url));

lazy(ServerRequest.prototype, "connection", (request) => {
    const found = native.httpConnection(request._id);
    if (found === null) {
        return new Connection();
    }
    const [id, address, port] = JSON.parse(found);
    const known = objects.get(id);
    return known ?? accepted(id, request._server, address, port);
});

// --- the answer: what is not sent yet is in _lines and _body, and leaves in one call

const NOTHING = 0;
const HEADER = 1;
const BODY = 2;
const FINISHED = 3;

// What a response had said that was found good: heads repeat themselves.
const goodHeads = new Set();

function ServerResponse() {}
inherits(ServerResponse, EventEmitter);

lazy(ServerResponse.prototype, "connection", (response) => response._request.connection);

ServerResponse.prototype.sendHeader = function (statusCode, headers) {
    if (this._state !== NOTHING) {
        throw new Error("the header of this response was sent already");
    }
    const status = Number(statusCode);
    const lines = linesOf(headers);
    const head = status + "\n" + lines;
    if (!goodHeads.has(head)) {
        native.httpCheckHead(status, lines);
        if (goodHeads.size >= 256) {
            goodHeads.clear();
        }
        goodHeads.add(head);
    }
    this._status = status;
    this._lines = lines;
    this._state = HEADER;
};

ServerResponse.prototype.sendBody = function (chunk, encoding) {
    if (this._state !== HEADER && this._state !== BODY) {
        throw new Error("sendBody() belongs between sendHeader() and finish()");
    }
    const bytes = payload(chunk, encoding);
    if (this._body !== "" && this._kind !== payloadKind) {
        const kind = payloadKind;
        sendOn(this, false);
        payloadKind = kind;
    }
    this._kind = payloadKind;
    if (this._body === "") {
        this._body = bytes;
        unsent.push(this);
        finishLater();
    } else {
        this._body += bytes;
    }
    if (this._body.length > 65_536) {
        sendOn(this, false);
    }
};

ServerResponse.prototype.finish = function () {
    if (this._state === FINISHED) {
        return;
    }
    if (this._state === NOTHING) {
        throw new Error("finish() comes after sendHeader()");
    }
    sendOn(this, true);
};

function sendOn(response, isLast) {
    const body = response._body;
    if (body === "" && !isLast) {
        return;
    }
    const status = response._state === HEADER ? response._status : 0;
    response._body = "";
    native.httpRespond(response._id, status, response._lines, body, response._kind, isLast);
    response._state = isLast ? FINISHED : BODY;
}

on("request", (server, id, method, url, version, lines, hasBody) => {
    server = answering.get(server);
    const request = new ServerRequest();
    arrived(request, id, version, lines, hasBody);
    request.method = method;
    request._url = url;
    request._server = server;
    const response = new ServerResponse();
    response._id = id;
    response._request = request;
    response._state = NOTHING;
    response._body = "";
    response._kind = TEXT;
    server.emit("request", [request, response]);
});

// --- the server

// Those that may still be asked: a closed one is, on connections that it has.
const answering = new Map();

on("serverOver", (id) => {
    answering.delete(id);
});

function HttpServer(listener, options) {
    this._backlog = options?.backlog ?? 1024;
    this.addListener("request", listener);
}
inherits(HttpServer, Server);

HttpServer.prototype._listen = native.httpListen;

HttpServer.prototype.listeners = function (type) {
    if (type === "connection" && isKnown(this)) {
        native.httpTellConnections(this._id);
    }
    return EventEmitter.prototype.listeners.call(this, type);
};

HttpServer.prototype.listen = function (port, host) {
    Server.prototype.listen.call(this, port, host);
    answering.set(this._id, this);
    if (hears(this, "connection")) {
        native.httpTellConnections(this._id);
    }
};
