// node.Process (seed: Node 0.1.0, "Child Processes").

function Process() {}
inherits(Process, EventEmitter);

// The text is run by /bin/sh -c.
Process.prototype.spawn = function (command) {
    if (this._id !== undefined) {
        throw new Error("this process was spawned already");
    }
    const id = number();
    const pid = native.processSpawn(id, String(command));
    this._id = id;
    Object.defineProperty(this, "pid", { value: pid, enumerable: true });
    objects.set(id, this);
};

Process.prototype.write = function (data, encoding) {
    native.processWrite(this._id, payload(data, encoding), payloadKind);
};

Process.prototype.close = function () {
    native.processClose(this._id);
};

Process.prototype.kill = function (signal) {
    native.processKill(this._id, signal ?? config.constants.SIGTERM);
};

on("output", (id, text) => objects.get(id).emit("output", [text]));

on("errorOutput", (id, text) => objects.get(id).emit("error", [text]));

on("exited", (id, code) => {
    const process = objects.get(id);
    objects.delete(id);
    process.emit("exit", [code]);
});
