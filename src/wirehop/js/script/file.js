// node.fs (seed: Node 0.1.0, "File I/O").

const fs = {
    rename: (path1, path2) => promised((id) => native.fsRename(id, String(path1), String(path2))),
    stat: (path) => promised((id) => native.fsStat(id, String(path))),
    unlink: (path) => promised((id) => native.fsUnlink(id, String(path))),
    rmdir: (path) => promised((id) => native.fsRmdir(id, String(path))),
    close: (fd) => promised((id) => native.fsClose(id, fd)),
    open: (path, flags, mode) => promised((id) => native.fsOpen(id, String(path), flags, mode ?? 0o666)),
    write(fd, data, position) {
        const bytes = payload(data);
        return promised((id) => native.fsWrite(id, fd, bytes, payloadKind, position));
    },
    read: (fd, length, position, encoding) =>
        promised((id) => native.fsRead(id, fd, length, position, encodingOf(encoding ?? "raw"))),
    cat: (path, encoding) => promised((id) => native.fsCat(id, String(path), encodingOf(encoding ?? "utf8"))),
    // Not in the seed's text. Its own version has a callback, which gets true or false.
    exists(path, callback) {
        const promise = promised((id) => native.fsExists(id, String(path)));
        return callback === undefined ? promise : promise.addCallback(callback);
    },
    File,
};

// A file with a queue: what is asked for is done in order. Python knows it from its first action on,
// until it is closed and has nothing more to do.
function File(options) {
    this.fd = options?.fd ?? null;
    this.encoding = options?.encoding === undefined ? "raw" : encodingOf(options.encoding);
    this._pending = 0;
}
inherits(File, EventEmitter);

// One action. `isDone` is called with what it gave, before any listener of the program.
function act(file, begin, isDone) {
    if (file._id === undefined || !objects.has(file._id)) {
        file._id = number();
        native.fileNew(file._id, file.fd);
        objects.set(file._id, file);
    }
    const promise = promised((id) => begin(file._id, id));
    file._pending += 1;
    hidden(promise, "_settling", (type, args) => {
        file._pending -= 1;
        if (type === "success") {
            isDone?.(args[0]);
            atTheEnd(() => forgetFile(file));
        }
    });
    hidden(promise, "_failedUnheard", (error) => {
        file._unheard = error;
    });
    return promise;
}

function forgetFile(file) {
    if (file._pending === 0 && file.fd === null && objects.delete(file._id)) {
        native.fileForget(file._id);
    }
}

File.prototype.open = function (path, mode) {
    return act(
        this,
        (file, id) => native.fileOpen(file, id, String(path), String(mode)),
        (fd) => {
            this.fd = fd;
        },
    );
};

File.prototype.close = function () {
    return act(
        this,
        (file, id) => native.fileClose(file, id),
        () => {
            this.fd = null;
        },
    );
};

File.prototype.read = function (length, position) {
    return act(this, (file, id) => native.fileRead(file, id, length, position, encodingOf(this.encoding)));
};

File.prototype.write = function (data, position) {
    const bytes = payload(data);
    return act(this, (file, id) => native.fileWrite(file, id, bytes, payloadKind, position));
};

File.prototype.print = function (data) {
    const isData = Array.isArray(data) || ArrayBuffer.isView(data);
    const bytes = isData ? payload(data) : String(data);
    return act(this, (file, id) => native.filePrint(file, id, bytes, isData ? RAW : TEXT));
};

File.prototype.puts = function (data) {
    return act(this, (file, id) => native.filePrint(file, id, String(data) + "\n", TEXT));
};

// After the promise of the action that failed.
on("fileFailed", (id, failure, wasSaid) => {
    const file = objects.get(id);
    const unheard = file._unheard;
    file._unheard = undefined;
    if (!file.emit("error", [toError(failure)]) && unheard !== undefined && !wasSaid) {
        native.report(`a file operation failed and nobody was told: ${unheard.message}`);
    }
    forgetFile(file);
});

const stdin = new File({ fd: 0 });
const stdout = new File({ fd: 1 });
const stderr = new File({ fd: 2 });
