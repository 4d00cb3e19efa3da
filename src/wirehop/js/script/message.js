// What requests and responses have in common (seed: Node 0.1.0, "HTTP").

// One that arrives. `hasBody`: more may come than its head.
function arrived(message, id, version, lines, hasBody) {
    message._id = id;
    message._lines = lines;
    message._hasBody = hasBody;
    message.httpVersion = version;
}

function IncomingMessage() {}
inherits(IncomingMessage, EventEmitter);

// As an own property from then on: a program may change it.
function lazy(prototype, name, make) {
    Object.defineProperty(prototype, name, {
        get() {
            const value = make(this);
            Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
            return value;
        },
        set(value) {
            Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
        },
        configurable: true,
    });
}

lazy(IncomingMessage.prototype, "headers", (message) => pairsOf(message._lines));

IncomingMessage.prototype.setBodyEncoding = function (encoding) {
    this._encoding = encodingOf(encoding);
    if (this._isReading && this._hasBody) {
        native.bodyEncoding(this._id, this._encoding);
    }
};

// Also for who changes the list of listeners by hand.
IncomingMessage.prototype.listeners = function (type) {
    if ((type === "body" || type === "complete") && !this._isReading) {
        this._isReading = true;
        atTheEnd(() => beginBody(this));
    }
    return EventEmitter.prototype.listeners.call(this, type);
};

function beginBody(message) {
    if (!hears(message, "body") && !hears(message, "complete")) {
        message._isReading = false;
    } else if (message._hasBody) {
        objects.set(message._id, message);
        native.bodyRead(message._id, message._encoding ?? "raw");
    } else {
        message.emit("complete");
    }
}

on("body", (id, kind, chunk) => {
    const message = objects.get(id);
    if (hears(message, "body")) {
        message.emit("body", [received(kind, chunk)]);
    }
});

on("complete", (id) => {
    const message = objects.get(id);
    objects.delete(id);
    message._hasBody = false;
    message.emit("complete");
});

// The rest will not come.
on("bodyLost", (id) => {
    objects.get(id)._hasBody = false;
    objects.delete(id);
});

// --- uri

const knownUris = new Map();

function parseUri(text) {
    let parts = knownUris.get(text);
    if (parts === undefined) {
        parts = native.uri(text);
        if (knownUris.size >= 256) {
            knownUris.clear();
        }
        knownUris.set(text, parts);
    }
    const uri = JSON.parse(parts);
    Object.defineProperty(uri, "toString", { value: () => text, writable: true, configurable: true });
    return uri;
}
