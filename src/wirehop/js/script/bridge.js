// One function each way. The files of this folder are one function of (global, down, config): what
// one of them names the others see. Nothing but numbers, booleans, null and text crosses.

config = JSON.parse(config);

const NativePromise = Promise;

// --- down: what Python does for us

const FAILED = "\x01";

function toError(text) {
    const kindEnd = text.indexOf(FAILED, 1);
    const codeEnd = text.indexOf(FAILED, kindEnd + 1);
    const message = text.slice(codeEnd + 1);
    const error = text.slice(1, kindEnd) === "TypeError" ? new TypeError(message) : new Error(message);
    error.code = text.slice(kindEnd + 1, codeEnd);
    return error;
}

function isFailure(result) {
    return typeof result === "string" && result.charCodeAt(0) === 1;
}

// Where text with a NUL cannot leave as it is.
let wasEscaped = false;

function escaped(value) {
    if (typeof value !== "string") {
        return value;
    }
    if (value.includes("\0") || value.includes(config.escape)) {
        wasEscaped = true;
        value = value.replaceAll(config.escape, config.escape + "1").replaceAll("\0", config.escape + "0");
    }
    return value.isWellFormed() ? value : value.toWellFormed();
}

// A call with text that was escaped has another number.
function marked(number) {
    wasEscaped = false;
    return -1 - number;
}

// The operations by their names; each throws what went wrong. Made as text, because they are on the way
// of each request: nothing is done to an argument that needs nothing.
const native = {};
config.operations.forEach(([name, areText], number) => {
    const names = areText.map((_, i) => `a${i}`);
    let body = "";
    let called = String(number);
    if (config.escape !== null && areText.includes(true)) {
        body = names.map((name, i) => (areText[i] ? `${name} = escaped(${name});` : "")).join("");
        called = `wasEscaped() ? marked(${number}) : ${number}`;
    }
    const call = `const result = down(${[called, ...names].join(", ")});`;
    const check = "if (isFailure(result)) throw toError(result); return result;";
    native[name] = new Function(
        "down, isFailure, toError, escaped, wasEscaped, marked",
        `return (${names.join(", ")}) => { ${body} ${call} ${check} };`,
    )(down, isFailure, toError, escaped, () => wasEscaped, marked);
});

// --- up: what Python tells us

const handlers = [];
const events = {};

function on(event, handler) {
    events[event] = handlers.length;
    handlers.push(handler);
}

// What Python speaks of, by its number: only as long as it may.
const objects = new Map();
let lastNumber = 0;

function number() {
    lastNumber += 2;
    return lastNumber;
}

// What is to be done when the program has said all for now: functions of nothing.
let depth = 0;
let waiting = [];

// And responses of which a part may not be sent yet.
let unsent = [];

function atTheEnd(what) {
    waiting.push(what);
    finishLater();
}

function finishLater() {
    if (depth === 0 && waiting.length + unsent.length === 1) {
        // In a job of a native promise, which nobody called.
        defer(finish);
    }
}

function finish() {
    while (waiting.length > 0 || unsent.length > 0) {
        const responses = unsent;
        unsent = [];
        for (let i = 0; i < responses.length; i++) {
            if (responses[i]._body !== "") {
                guard(() => sendOn(responses[i], false));
            }
        }
        const now = waiting;
        waiting = [];
        for (const what of now) {
            guard(what);
        }
    }
}

function up(event, a, b, c, d, e, f, g) {
    depth += 1;
    try {
        return handlers[event](a, b, c, d, e, f, g);
    } catch (error) {
        uncaught(error);
        return undefined;
    } finally {
        if (depth === 1 && (waiting.length > 0 || unsent.length > 0)) {
            finish();
        }
        depth -= 1;
    }
}

function guard(call) {
    try {
        call();
    } catch (error) {
        uncaught(error);
    }
}

function defer(call) {
    NativePromise.resolve().then(() => guard(call));
}

// --- errors

// Lines of a stack that say nothing of the program.
const OURS = /^\s+at (?:.*\bwirehop\.js:\d+|(?:apply|call) \(native\))/;

// Columns of a file's first line count what stands before it.
let before = 0;

function inFile(line) {
    return line.replace(/:1:(\d+)(\)?)$/, (_, column, end) => `:1:${Math.max(1, column - before)}${end}`);
}

function describe(error) {
    let text;
    try {
        text = String(error);
    } catch {
        text = "an error that cannot be shown";
    }
    if (!(error instanceof Error)) {
        return "Uncaught " + text;
    }
    let stack = typeof error.stack === "string" ? error.stack : "";
    if (!stack.startsWith(text)) {
        stack = text + "\n" + stack;
    }
    return stack
        .split("\n")
        .filter((line) => line.trim() !== "" && !OURS.test(line))
        .map(inFile)
        .join("\n");
}

function uncaught(error) {
    try {
        native.uncaught(describe(error));
    } catch {
        // The program is leaving.
    }
}

// QuickJS names no file in its stacks. Which file a function stands in tells its source.
const sources = [];

if (config.escape !== null) {
    const places = new WeakMap();
    const placeOf = (site) => {
        if (site.isNative()) {
            return null;
        }
        const called = site.getFunction();
        if (typeof called !== "function") {
            // Of a text that could not be read; modules.py knows which.
            return `${site.getFileName()}:${site.getLineNumber()}:${site.getColumnNumber()}`;
        }
        let name = places.get(called);
        if (name === undefined) {
            const text = Function.prototype.toString.call(called);
            name = (sources.find((source) => source.text.includes(text)) ?? { name: "wirehop.js" }).name;
            places.set(called, name);
        }
        return `${name}:${site.getLineNumber()}:${site.getColumnNumber()}`;
    };
    Error.prepareStackTrace = (error, sites) =>
        sites
            .map((site) => {
                const place = placeOf(site);
                const name = site.getFunctionName() || "<anonymous>";
                return place === null ? `    at ${name} (native)` : `    at ${name} (${place})`;
            })
            .join("\n");
}
