/**
 * @module rpc: functions called across the link.
 *
 * Nobody can call what was not registered: the own functions of objects and the methods of their
 * classes are reached by name, one at a time, and nothing that begins with an underscore.
 */
import { RemoteError } from "./errors.js";
import { Internal } from "./packet.js";
import { Packer, isBinary } from "./packer.js";

/**
 * The functions of a remote: properties are names, a call is a call.
 * @typedef {{[name: string]: Stub} & ((...args: any[]) => Promise<any>)} Stub
 */

/** Names in the path of a method. */
const MAX_DEPTH = 64;

// --- serving

/** @param {unknown} rpc @throws {TypeError} for what cannot be registered */
export function check(rpc) {
    if (!rpc || typeof rpc !== "object") throw new TypeError("setRPC takes an object");
}

/**
 * @param {object} rpc
 * @param {unknown} path
 * @returns {((...args: unknown[]) => unknown) | null} the registered function, bound to its object
 */
export function find(rpc, path) {
    if (!Array.isArray(path) || !path.length || path.length > MAX_DEPTH) return null;
    /** @type {any} */
    let owner = null;
    /** @type {any} */
    let place = rpc;
    for (const name of path) {
        owner = place;
        place = typeof owner === "object" ? member(owner, name) : null;
        if (place === null || place === undefined) return null;
    }
    return typeof place === "function" ? place.bind(owner) : null;
}

/** @param {object} owner @param {unknown} name */
function member(owner, name) {
    if (typeof name !== "string" || name.startsWith("_") || name === "constructor") return null;
    /** @type {any} */
    let holder = owner;
    // What every object, array or Map has was not registered.
    while (holder && (holder === owner || !isNative(holder.constructor))) {
        const found = Object.getOwnPropertyDescriptor(holder, name);
        // A method of the class is a value; what a getter would compute is not called for.
        if (found) return found.value;
        holder = Object.getPrototypeOf(holder);
    }
    return null;
}

/** @param {unknown} constructor @returns {boolean} whether the engine or the browser made it */
function isNative(constructor) {
    return typeof constructor === "function" && /\[native code\]/.test(Function.prototype.toString.call(constructor));
}

/**
 * Run the function that a request names.
 * @param {object} rpc
 * @param {any} message the request
 * @param {unknown} peer its last argument
 * @returns {Promise<object>} the answer
 */
export async function serve(rpc, message, peer) {
    const path = message.method;
    const call = find(rpc, path);
    if (!call) return { error: "Method not found!", details: whichMethod(path), code: 404 };
    try {
        const result = await call(...unpacked(message), peer);
        const answer = isBinary(result) ? { result: Packer.pack(result), bin: true } : { result, bin: false };
        // What JSON cannot say is the function's failure, not ours.
        JSON.stringify(answer);
        return answer;
    } catch (error) {
        return failure(error, path);
    }
}

/** @param {any} message a request */
function unpacked({ params, bin }) {
    if (!Array.isArray(params)) throw new RemoteError("packet.msg.params is not iterable");
    if (!Array.isArray(bin)) throw new RemoteError("packet.msg.bin is not iterable");
    const given = [...params];
    for (const position of bin) {
        const text = given[Number(position)];
        if (typeof text !== "string") throw new RemoteError("packet.msg.bin names no argument in base64");
        given[Number(position)] = Packer.unpack(text);
    }
    return given;
}

/** @param {any} error @param {unknown} path */
function failure(error, path) {
    if (error instanceof RemoteError) {
        return { error: error.error || error.message, details: error.details ?? whichMethod(path), code: error.code };
    }
    // Never empty: npm anysocket takes a falsy error for a success. An Error has no JSON of its own.
    const said = error instanceof Error ? error.message || error.name : error;
    return { error: said || "the function failed", details: whichMethod(path), code: 500 };
}

/** @param {unknown} path */
function whichMethod(path) {
    const names = Array.isArray(path) ? path : [path];
    return `method: '${names.slice(0, MAX_DEPTH).map((name) => String(name).slice(0, 200)).join(",")}'`;
}

// --- calling

/** @param {string[]} method @param {unknown[]} args @returns {object} */
export function request(method, args) {
    return {
        type: Internal.RPC,
        method,
        params: args.map((value) => (isBinary(value) ? Packer.pack(value) : value)),
        bin: args.flatMap((value, index) => (isBinary(value) ? [String(index)] : [])),
    };
}

/**
 * @param {any} message a reply
 * @returns {any} the result
 * @throws {RemoteError} when it says that the call failed
 */
export function resultOf(message) {
    const { error, details, code, result, bin } = message ?? { error: "the reply is no object" };
    if (error || (code >= 400 && result === undefined)) throw new RemoteError(error, details, code);
    if (!bin || typeof result !== "string") return result;
    try {
        return Packer.unpack(result);
    } catch {
        throw new RemoteError("the result is not base64");
    }
}

/**
 * @param {(path: string[], args: unknown[]) => Promise<any>} call
 * @param {string[]} [path]
 * @returns {Stub}
 */
export function stub(call, path = []) {
    /** @param {unknown[]} args */
    const target = (...args) => {
        if (!path.length) throw new TypeError("peer.rpc itself is no function");
        return call(path, args);
    };
    return /** @type {any} */ (new Proxy(target, {
        get(_, name) {
            // Whoever awaits a stub does not mean a remote function of that name.
            return typeof name === "symbol" || name === "then" ? undefined : stub(call, [...path, name]);
        },
    }));
}
