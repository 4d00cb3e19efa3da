// node.EventEmitter (seed: Node 0.1.0, "Events").

function EventEmitter() {}

EventEmitter.prototype.listeners = function (type) {
    // Not in the constructor: programs inherit without calling it.
    if (!Object.hasOwn(this, "_events")) {
        this._events = Object.create(null);
    }
    return (this._events[type] ??= []);
};

EventEmitter.prototype.addListener = function (type, listener) {
    // What is no function is ignored, as in the seed.
    if (typeof listener === "function") {
        this.listeners(type).push(listener);
    }
    return this;
};

EventEmitter.prototype.on = function (type, listener) {
    return this.addListener(type, listener);
};

EventEmitter.prototype.once = function (type, listener) {
    const emitter = this;
    function once() {
        emitter.removeListener(type, listener);
        return listener.apply(this, arguments);
    }
    once.listener = listener;
    return this.addListener(type, once);
};

EventEmitter.prototype.removeListener = function (type, listener) {
    const listeners = this.listeners(type);
    const at = listeners.findLastIndex((one) => one === listener || one.listener === listener);
    if (at >= 0) {
        listeners.splice(at, 1);
    }
    return this;
};

EventEmitter.prototype.removeAllListeners = function (type) {
    this.listeners(type).length = 0;
    return this;
};

// `args` is an array: emitter.emit("event", [first, second]).
EventEmitter.prototype.emit = function (type, args) {
    const listeners = this._events?.[type];
    if (listeners === undefined || listeners.length === 0) {
        return false;
    }
    if (listeners.length === 1) {
        watch(listeners[0].apply(this, args));
    } else {
        // Those that are added meanwhile wait for the next time.
        for (const listener of listeners.slice()) {
            watch(listener.apply(this, args));
        }
    }
    return true;
};

// What a listener gave: an async function's promise may fail.
function watch(result) {
    if (result !== undefined && result instanceof NativePromise) {
        result.then(undefined, uncaught);
    }
}

function hears(emitter, type) {
    const listeners = emitter._events?.[type];
    return listeners !== undefined && listeners.length > 0;
}

function inherits(constructor, parent) {
    Object.setPrototypeOf(constructor.prototype, parent.prototype);
}
