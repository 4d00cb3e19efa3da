// The real npm anysocket and its WebSocket, from the packages that the Python tests talk to.
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { AnySocket } from "../src/index.js";
import { newId } from "../src/packet.js";

const require = createRequire(new URL("../../tests/interop/node/driver.js", import.meta.url));

export const Npm = require("anysocket");
export const WebSocket = require("ws");

/** What a test opened; `close` ends it all. */
export class Opened {
    #sockets = [];

    /** @returns {Promise<{server: any, port: number}>} an npm server */
    async npmServer(setup = (_server) => {}) {
        const server = this.npm();
        setup(server);
        const port = await freePort();
        await server.listen("ws", { host: "127.0.0.1", port });
        return { server, port };
    }

    /** @returns {Promise<{port: number, stop: () => Promise<void>}>} what does `accept` with a WebSocket */
    async raw(accept) {
        const server = new WebSocket.Server({ port: 0, host: "127.0.0.1" });
        await event(server, "listening");
        server.on("connection", accept);
        const stop = () => new Promise((resolve) => {
            server.clients.forEach((client) => client.terminate());
            server.close(() => resolve(undefined));
        });
        this.#sockets.push({ stop });
        return { port: server.address().port, stop };
    }

    /** A server that authenticates and says no more. (npm's falls over who comes while it stops.) */
    polite(id = newId()) {
        return this.raw((ws) => ws.once("message", () => ws.send(`11\0\0\0\x01${JSON.stringify({ id })}`)));
    }

    npm() {
        const socket = new Npm();
        this.#sockets.push(socket);
        return socket;
    }

    /** @returns {AnySocket} one of ours */
    ours(options) {
        const socket = new AnySocket(options);
        this.#sockets.push(socket);
        return socket;
    }

    async close() {
        await Promise.all(this.#sockets.map((socket) => socket.stop()));
    }
}

/** @param {AnySocket} socket @param {number} port */
export function connect(socket, port, options = {}) {
    return socket.connect("ws", "127.0.0.1", port, { WebSocket, reconnect: false, ...options });
}

/** The next event of that name: its values. */
export function event(emitter, name) {
    return new Promise((resolve) => {
        let isOver = false;
        // npm anysocket has no once().
        emitter.on(name, (...values) => {
            if (!isOver) resolve(values);
            isOver = true;
        });
    });
}

export async function freePort() {
    const server = createServer();
    await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    await new Promise((resolve) => server.close(resolve));
    return port;
}
