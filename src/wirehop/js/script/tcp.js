// node.tcp (seed: Node 0.1.0, "TCP").

function Connection() {}
inherits(Connection, EventEmitter);

function isKnown(connection) {
    return connection._id !== undefined && objects.get(connection._id) === connection;
}

Connection.prototype.connect = function (port, host) {
    if (port === undefined) {
        throw new Error("Must specify a port.");
    }
    const id = isKnown(this) ? this._id : number();
    native.tcpConnect(id, Number(port), host ? String(host) : null);
    this._id = id;
    objects.set(id, this);
    if (this._encoding !== undefined) {
        native.tcpSetEncoding(id, this._encoding);
    }
    if (this._idleTimeout !== undefined) {
        native.tcpSetTimeout(id, this._idleTimeout);
    }
};

Object.defineProperty(Connection.prototype, "readyState", {
    get() {
        return isKnown(this) ? native.tcpReadyState(this._id) : "closed";
    },
    // The seed has an accessor without a setter: nothing happens.
    set() {},
});

Connection.prototype.setEncoding = function (encoding) {
    this._encoding = encodingOf(encoding);
    if (isKnown(this)) {
        native.tcpSetEncoding(this._id, this._encoding);
    }
};

Connection.prototype.send = function (data, encoding) {
    const bytes = payload(data, encoding);
    if (!isKnown(this)) {
        throw new Error("Socket is not open for writing");
    }
    native.tcpSend(this._id, bytes, payloadKind);
};

Connection.prototype.close = function () {
    if (isKnown(this)) {
        native.tcpClose(this._id);
    }
};

Connection.prototype.fullClose = function () {
    if (isKnown(this)) {
        native.tcpFullClose(this._id);
    }
};

Connection.prototype.forceClose = function () {
    if (isKnown(this)) {
        // No event follows.
        objects.delete(this._id);
        native.tcpForceClose(this._id);
    }
};

// Not in the seed's text. The other side has to wait between the two.
Connection.prototype.pauseReading = function () {
    if (isKnown(this)) {
        native.tcpPauseReading(this._id);
    }
};

Connection.prototype.resumeReading = function () {
    if (isKnown(this)) {
        native.tcpResumeReading(this._id);
    }
};

// Not in the seed's text: "timeout" after so many milliseconds without traffic; 0 is never.
Connection.prototype.setTimeout = function (delay) {
    this._idleTimeout = Number(delay);
    if (isKnown(this)) {
        native.tcpSetTimeout(this._id, this._idleTimeout);
    }
};

Connection.prototype.addListener = function (type, listener) {
    if (type === "timeout" && this._idleTimeout === undefined) {
        // Nobody else pays for the clock.
        this.setTimeout(60_000);
    }
    return EventEmitter.prototype.addListener.call(this, type, listener);
};

function accepted(id, server, address, port) {
    const connection = new Connection();
    connection._id = id;
    connection.server = server;
    connection.remoteAddress = address;
    connection.remotePort = port;
    objects.set(id, connection);
    return connection;
}

for (const event of ["connect", "eof", "drain", "idle"]) {
    const type = event === "idle" ? "timeout" : event;
    on(event, (id) => objects.get(id).emit(type));
}

on("received", (id, kind, data) => objects.get(id).emit("receive", [received(kind, data)]));

on("disconnected", (id, hadError) => {
    const connection = objects.get(id);
    connection.emit("disconnect", [hadError]);
    // Unless a listener connected it again.
    if (isKnown(connection) && native.tcpIsOver(id)) {
        objects.delete(id);
        native.tcpForget(id);
    }
});

// --- servers

function Server(listener, options) {
    this._backlog = options?.backlog ?? 1024;
    this.addListener("connection", listener);
}
inherits(Server, EventEmitter);

Server.prototype._listen = native.tcpListen;

Server.prototype.listen = function (port, host) {
    if (port === undefined) {
        throw new Error("Must give at least a port as argument.");
    }
    if (isKnown(this)) {
        throw new Error("this server listens already");
    }
    const id = number();
    this._listen(id, Number(port), host ? String(host) : null, this._backlog);
    this._id = id;
    objects.set(id, this);
};

Server.prototype.close = function () {
    if (isKnown(this)) {
        objects.delete(this._id);
        native.serverClose(this._id);
    }
};

// Not in the seed's text: now `port` and `host` say where.
on("listening", (id, host, port) => {
    const server = objects.get(id);
    server.host = host;
    server.port = port;
    server.emit("listening");
});

on("cannotListen", (id, failure) => {
    const server = objects.get(id);
    objects.delete(id);
    const error = toError(failure);
    if (!server.emit("error", [error])) {
        throw error;
    }
});

on("accepted", (server, id, address, port) => {
    server = objects.get(server);
    server.emit("connection", [accepted(id, server, address, port)]);
});

const tcp = {
    Connection,
    Server,
    createServer: (listener, options) => new Server(listener, options),
    createConnection(port, host) {
        const connection = new Connection();
        connection.connect(port, host);
        return connection;
    },
};
