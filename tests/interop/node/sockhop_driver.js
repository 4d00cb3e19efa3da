// npm sockhop, driven line by line; driving.js says how. There are commands to make a server and
// clients, and `run` for all else: what a test wants of them it says in JavaScript, where `server`,
// `client` (the newest), `peer` (whichever was made last) and the names below are known.
"use strict";
const Sockhop = require("sockhop");
const { pack, say, serve } = require("./driving");

let server, client, peer;
// What answers messages that ask for a callback, and requests; tests replace them.
let answer = (value, meta) => meta.callback(value);
let respond = (req, res) => res.send(req.data);

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const event = (emitter, name) => new Promise((resolve) => emitter.once(name, resolve));

class Widget {
    constructor(members) { Object.assign(this, members); }
}

class Session extends Sockhop.session {
    async start() { say({ event: "start" }); }
    async end() { say({ event: "end" }); }
}

function tell(emitter) {
    emitter.on("connect", () => say({ event: "connect" }));
    emitter.on("disconnect", () => say({ event: "disconnect" }));
    emitter.on("error", (error) => say({ event: "error", ...pack(error) }));
    emitter.on("receive", (value, meta) => {
        say({ event: "receive", value: pack(value), type: pack(meta.type), asks: Boolean(meta.callback) });
        if (meta.callback) answer(value, meta);
    });
    emitter.on("request", (req, res, meta) => {
        say({ event: "request", data: pack(req.data), type: req.type, uuid: req.uuid });
        respond(req, res, meta);
    });
    const handle = emitter._on_recieved_object;
    emitter._on_recieved_object = function (message, ...rest) {
        if (message.type === "SockhopPing" || message.type === "SockhopPong") {
            say({ event: message.type, ...message.data });
        }
        return handle.call(this, message, ...rest);
    };
}

function makeClient(options) {
    client = new Sockhop.client(options);
    tell(client);
    peer = client;
}

const commands = {
    // At a path or on a port: a free one, unless it is given. Returns which.
    async listen(options) {
        server = new Sockhop.server({ session_type: Session, ...options });
        if (!options.port) server.port = 0; // its constructor takes 0 for no port
        tell(server);
        peer = {
            send: (...args) => server.send(server.sockets[0], ...args),
            request: (...args) => server.request(server.sockets[0], ...args),
            ping: (...args) => server.ping(...args),
            get socket() { return server.sockets[0]; },
        };
        await server.listen();
        return options.path || server.server.address().port;
    },
    async client(options) { makeClient(options); },
    async connect(options) {
        makeClient(options);
        await client.connect();
    },
    async run(source, args) {
        return await eval(`(async () => { ${source} })()`);
    },
};

serve(commands, {});
