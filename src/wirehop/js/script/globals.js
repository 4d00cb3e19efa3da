// What a program finds (seed: Node 0.1.0, "Helpers", "Global Variables", "Modules"), and its modules.

const node = {
    ...config.constants,
    ASCII: "ascii",
    UTF8: "utf8",
    RAW: "raw",
    EventEmitter,
    Promise: EventPromise,
    Process,
    Timer,
    fs,
    http,
    path,
    tcp,
    cat: (location, encoding) =>
        promised((id) => native.cat(id, String(location), encodingOf(encoding ?? "utf8"))),
    createProcess(command) {
        const process = new Process();
        process.spawn(command);
        return process;
    },
    debug: (text) => native.debug(String(text)),
    exit: (code) => native.exit(code ?? 0),
};

function puts(data) {
    return stdout.puts(data);
}

function print(data) {
    return stdout.print(data);
}

function p(data) {
    return stdout.puts(JSON.stringify(data));
}

const shown = (values) =>
    values.map((value) => (typeof value === "object" ? JSON.stringify(value) : String(value))).join(" ");

// Not in the seed's text. One of the engines has none, the other one's says nothing.
const toStdout = (...values) => void stdout.puts(shown(values));
const toStderr = (...values) => void stderr.puts(shown(values));
const console = { log: toStdout, info: toStdout, debug: toStdout, warn: toStderr, error: toStderr };

const globals = {
    node,
    setTimeout,
    setInterval,
    clearTimeout,
    clearInterval: clearTimeout,
    stdin,
    stdout,
    stderr,
    puts,
    print,
    p,
    console,
};
for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(global, name, { value, writable: true, configurable: true });
}

// --- modules

const modules = new Map();

// The name of a module, its parent (null is none), and whether that includes it.
on("moduleNew", (id, name, parent, isIncluded) => {
    const module = { id, name, onLoad: nothing, onExit: nothing };
    if (parent === null) {
        module.exports = global;
    } else if (!isIncluded) {
        module.exports = {};
    } else {
        module.exports = exportsFor(modules.get(parent).exports);
    }
    modules.set(id, module);
});

function nothing() {
    return undefined;
}

// What an included module exports belongs to who includes it, and is a global name.
function exportsFor(target) {
    if (target === global) {
        return global;
    }
    return new Proxy(target, {
        defineProperty(target, name, descriptor) {
            Object.defineProperty(global, name, { ...descriptor, configurable: true });
            return Reflect.defineProperty(target, name, descriptor);
        },
        deleteProperty(target, name) {
            delete global[name];
            return Reflect.deleteProperty(target, name);
        },
    });
}

// `body` is what the wrapper in modules.py makes of a file.
on("moduleRun", (id, body, text) => {
    const module = modules.get(id);
    if (config.escape !== null) {
        sources.push({ name: module.name, text });
    }
    const require = (path) => modules.get(native.moduleRequire(id, String(path), false)).exports;
    const include = (path) => void native.moduleRequire(id, String(path), true);
    body.call(module.exports, module.exports, require, include, module.name, (onLoad, onExit) => {
        module.onLoad = onLoad;
        module.onExit = onExit;
    });
});

on("moduleLoaded", (id) => {
    const call = modules.get(id).onLoad();
    if (typeof call === "function") {
        const result = call();
        if (result instanceof NativePromise) {
            result.then(undefined, uncaught);
        }
    }
});

// Returns what went wrong, or null.
on("moduleExits", (id) => {
    try {
        const call = modules.get(id).onExit();
        if (typeof call === "function") {
            call();
        }
        return null;
    } catch (error) {
        return describe(error);
    }
});

// ARGV, as JSON, and the length of what stands before a file.
on("begin", (argv, length) => {
    before = length;
    Object.defineProperty(global, "ARGV", { value: JSON.parse(argv), writable: true, configurable: true });
});

return (what) => (what === "up" ? up : JSON.stringify(events));
