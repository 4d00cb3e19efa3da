// node.Promise (seed: Node 0.1.0, "node.Promise"). A listener that comes late is called in the next turn,
// and a promise can be awaited; the seed has neither.

// Those that a program makes keep it alive until they are settled.
let pending = 0;
let isHeld = false;

function holdOrRelease() {
    if (pending > 0 !== isHeld) {
        isHeld = pending > 0;
        native.hold(isHeld);
    }
}

function EventPromise() {
    pending += 1;
    hidden(this, "_isOwn", true);
    atTheEnd(holdOrRelease);
}
inherits(EventPromise, EventEmitter);

// One that Python settles, and keeps alive.
function promised(begin) {
    const promise = Object.create(EventPromise.prototype);
    const id = number();
    begin(id);
    objects.set(id, promise);
    return promise;
}

EventPromise.prototype.addListener = function (type, listener) {
    if (this._outcome === undefined) {
        return EventEmitter.prototype.addListener.call(this, type, listener);
    }
    if (type === this._outcome[0] && typeof listener === "function") {
        defer(() => listener.apply(this, this._outcome[1]));
    }
    return this;
};

EventPromise.prototype.addCallback = function (listener) {
    return this.addListener("success", listener);
};

EventPromise.prototype.addErrback = function (listener) {
    return this.addListener("error", listener);
};

EventPromise.prototype.emit = function (type, args) {
    if (this._outcome !== undefined) {
        return false;
    }
    hidden(this, "_outcome", [type, args]);
    this._settling?.(type, args);
    try {
        return EventEmitter.prototype.emit.call(this, type, args);
    } finally {
        if (this._isOwn) {
            pending -= 1;
            atTheEnd(holdOrRelease);
        }
    }
};

EventPromise.prototype.emitSuccess = function (args) {
    return this.emit("success", args);
};

EventPromise.prototype.emitError = function (args) {
    return this.emit("error", args);
};

EventPromise.prototype.then = function (succeeded, failed) {
    return new NativePromise((resolve, reject) => {
        // Through a list of one: what a promise gives may itself have a `then`.
        this.addCallback((...values) => resolve(values.length > 1 ? values : values[0]));
        this.addErrback((error) => reject(error ?? new Error("the operation failed")));
    }).then(succeeded, failed);
};

function hidden(object, name, value) {
    Object.defineProperty(object, name, { value, writable: true, configurable: true });
}

const KINDS = [
    (value) => value,
    integersOf,
    (value) => {
        const stats = JSON.parse(value);
        for (const name of ["atime", "mtime", "ctime"]) {
            stats[name] = new Date(stats[name]);
        }
        return stats;
    },
];

// `has`: whether there is a value.
on("succeeded", (id, has, kind, value) => {
    const promise = objects.get(id);
    objects.delete(id);
    promise.emit("success", has ? [KINDS[kind](value)] : []);
});

on("failed", (id, failure) => {
    const promise = objects.get(id);
    objects.delete(id);
    const error = toError(failure);
    if (promise.emit("error", [error])) {
        return;
    }
    if (promise._failedUnheard === undefined) {
        native.report(`a promise failed and nobody was told: ${error.message}`);
    } else {
        promise._failedUnheard(error);
    }
});
