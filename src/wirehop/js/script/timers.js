// Timers (seed: Node 0.1.0, "Timers"), in milliseconds.

function Timer() {}
inherits(Timer, EventEmitter);

Timer.prototype.start = function (after, repeat) {
    this.stop();
    const delay = Number(after);
    this._id = number();
    this._repeats = Boolean(repeat);
    native.timerStart(this._id, delay > 0 ? Math.min(delay, Number.MAX_SAFE_INTEGER) : 0, this._repeats);
    objects.set(this._id, this);
};

Timer.prototype.stop = function () {
    if (this._id !== undefined && objects.delete(this._id)) {
        native.timerStop(this._id);
    }
};

on("timeout", (id) => {
    const timer = objects.get(id);
    if (!timer._repeats) {
        objects.delete(id);
    }
    timer.emit("timeout");
});

function timer(callback, delay, args, repeats) {
    const timer = new Timer();
    timer.addListener("timeout", args.length > 0 ? callback.bind(timer, ...args) : callback);
    timer.start(delay, repeats);
    return timer;
}

function setTimeout(callback, delay, ...args) {
    return timer(callback, delay, args, false);
}

function setInterval(callback, delay, ...args) {
    return timer(callback, delay, args, true);
}

function clearTimeout(timer) {
    if (timer instanceof Timer) {
        timer.stop();
    }
}
