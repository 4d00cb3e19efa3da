// The client's side of node.http (seed: Node 0.1.0, "node.http.Client").

function Client(port, host) {
    this.port = Number(port);
    this.host = host ? String(host) : "127.0.0.1";
    native.clientCheck(this.port, this.host);
    this._requests = 0;
}
inherits(Client, EventEmitter);

function ask(method) {
    return function (path, headers) {
        if (this._id === undefined || !objects.has(this._id)) {
            this._id = number();
            native.clientNew(this._id, this.port, this.host);
            objects.set(this._id, this);
        }
        const request = new ClientRequest();
        request._id = number();
        native.clientAsk(this._id, request._id, method, String(path), linesOf(headers));
        request.client = this;
        objects.set(request._id, request);
        return request;
    };
}

Client.prototype.get = ask("GET");
Client.prototype.head = ask("HEAD");
Client.prototype.post = ask("POST");
Client.prototype.del = ask("DELETE");
Client.prototype.put = ask("PUT");

on("clientForgotten", (id) => {
    objects.delete(id);
});

on("clientFailed", (id, failure) => {
    const client = objects.get(id);
    const error = toError(failure);
    if (!client.emit("error", [error])) {
        native.report(`a request failed and nobody was told: ${error.message}`);
    }
});

// --- one request

function ClientRequest() {}
inherits(ClientRequest, EventEmitter);

ClientRequest.prototype.sendBody = function (chunk, encoding) {
    native.clientSendBody(this._id, payload(chunk, encoding), payloadKind);
};

ClientRequest.prototype.finish = function (listener) {
    this.addListener("response", listener);
    native.clientFinish(this._id);
};

on("requestOver", (id) => {
    objects.delete(id);
});

// --- its response

function ClientResponse() {}
inherits(ClientResponse, IncomingMessage);

on("response", (asked, id, status, version, lines) => {
    const request = objects.get(asked);
    const response = new ClientResponse();
    arrived(response, id, version, lines, true);
    response.statusCode = status;
    response.client = request.client;
    request.emit("response", [response]);
    atTheEnd(() => {
        // What nobody listens to by now nobody gets, as in the seed; else the next request would wait.
        if (!response._isReading) {
            response._hasBody = false;
            native.bodyDiscard(id);
        }
    });
});

const http = {
    STATUS_CODES: config.statusCodes,
    Connection,
    Server: HttpServer,
    ServerRequest,
    ServerResponse,
    Client,
    ClientRequest,
    ClientResponse,
    parseUri,
    createServer: (listener, options) => new HttpServer(listener, options),
    createClient: (port, host) => new Client(port, host),
    cat: (url, encoding) => promised((id) => native.httpCat(id, String(url), encodingOf(encoding ?? "utf8"))),
};
