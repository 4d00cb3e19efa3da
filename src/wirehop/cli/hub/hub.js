/**
 * The hub's page: a peer like any other, written on the public surface of the client.
 *
 * It connects to where it came from, asks the hub's function `inspect` once a second what there is
 * to see, and talks to other peers through the hub.
 */
import { AnySocket } from "/@anysocket.mjs";
import { Plot } from "./plot.js";
import { Talk } from "./talk.js";

/** Milliseconds between two looks. */
const EVERY = 1000;

/** Entries of the list of messages. */
const LENGTH = 100;

/** @param {string} id @returns {any} */
const element = (id) => document.getElementById(id);

/** @param {number | null} seconds */
function milliseconds(seconds) {
    if (seconds === null) return "–";
    const value = seconds * 1000;
    return `${Math.abs(value) < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
}

/** @param {number} bytes */
function size(bytes) {
    if (bytes < 1000) return `${bytes} B`;
    return bytes < 1e6 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

// --- the network

const socket = new AnySocket({
    rpc: {
        hello: { user: (/** @type {string} */ name) => `Hello ${name}, from a page!` },
        time: () => new Date().toISOString(),
    },
});

/** @type {import("/@anysocket.mjs").AnyPeer | null} */
let hub = null;

const talk = new Talk(socket, () => hub);

socket.on("connected", (peer) => {
    // Others that connect are reached through the hub.
    if (peer.isProxy()) return;
    hub = peer;
    element("state").textContent = `You are ${socket.id.slice(0, 8)}, the hub is ${peer.id.slice(0, 8)}.`;
    look();
});

socket.on("disconnected", (peer) => {
    if (peer === hub) hub = null;
});

socket.on("reconnecting", ({ attempt, delay }) => {
    const wait = delay < 1000 ? "now" : `in ${Math.round(delay / 1000)} s`;
    element("state").textContent = `The hub does not answer. Attempt ${attempt} comes ${wait}.`;
});

// --- what there is to see

/** @type {Map<string, {packets: number, at: number, plot: Plot, row: HTMLTableRowElement}>} */
const seen = new Map();
const plot = new Plot(element("plot"));
let last = 0;
let lookedAt = 0;

async function look() {
    const peer = hub;
    if (!peer || Date.now() - lookedAt < EVERY / 2) return;
    lookedAt = Date.now();
    try {
        const news = await peer.call("inspect", [last], { timeout: 10 * EVERY });
        if (peer === hub) show(news);
    } catch (error) {
        // A link that ended is said elsewhere.
        if (peer === hub) element("state").textContent = `The hub cannot be inspected: ${/** @type {Error} */ (error).message}`;
    }
}

/** @param {any} news */
function show({ now, peers, packets }) {
    let all = 0;
    const here = new Set(peers.map((/** @type {any} */ one) => one.id));
    for (const [id, { row }] of seen) {
        if (here.has(id)) continue;
        row.remove();
        seen.delete(id);
    }
    for (const one of peers) {
        const known = seen.get(one.id) ?? first(one);
        const total = one.packets_in + one.packets_out;
        const rate = known.at < now && known.at > 0 ? Math.max(0, (total - known.packets) / (now - known.at)) : 0;
        all += rate;
        known.plot.add(rate);
        Object.assign(known, { packets: total, at: now });
        fill(known.row, one);
    }
    plot.add(all);
    element("rate").textContent = all < 10 ? all.toFixed(1) : all.toFixed(0);
    for (const packet of packets) {
        last = Math.max(last, packet.number);
        const entry = Object.assign(document.createElement("li"), { textContent: `${packet.text} ` });
        const from = Object.assign(document.createElement("b"), { textContent: packet.from.slice(0, 8) });
        const time = document.createElement("time");
        time.textContent = new Date(packet.at * 1000).toLocaleTimeString();
        entry.prepend(time, from);
        element("packets").prepend(entry);
    }
    while (element("packets").children.length > LENGTH) element("packets").lastChild.remove();
    talk.refresh(peers);
}

/** A peer that was not there before. @param {any} one */
function first(one) {
    const row = element("peers").insertRow();
    row.dataset.peer = one.id;
    const choose = document.createElement("button");
    choose.type = "button";
    choose.className = "quiet";
    choose.textContent = one.id.slice(0, 8);
    choose.title = one.id;
    choose.setAttribute("aria-label", `Talk to ${one.kind} peer ${one.id.slice(0, 8)}`);
    choose.disabled = one.id === socket.id;
    choose.addEventListener("click", () => talk.choose(one.id));
    const kind = document.createElement("span");
    kind.className = "kind";
    row.insertCell().append(choose, kind);
    for (const label of ["Round trip", "Clock", "Link", "In / out"]) row.insertCell().dataset.label = label;
    const small = Plot.small("Packets a second");
    row.insertCell().append(small.svg);
    const known = { packets: 0, at: 0, plot: small, row };
    seen.set(one.id, known);
    return known;
}

/** @param {HTMLTableRowElement} row @param {any} one */
function fill(row, one) {
    const [who, rtt, clock, link, counts] = row.cells;
    rtt.textContent = milliseconds(one.rtt);
    clock.textContent = one.offset === null ? "–" : `${one.offset < 0 ? "−" : "+"}${milliseconds(Math.abs(one.offset))}`;
    const isSecure = one.security !== "plain";
    link.textContent = (isSecure ? "encrypted" : "plain") + (one.queued ? `, ${size(one.queued)} wait` : "");
    link.classList.toggle("secure", isSecure);
    counts.textContent = `${one.packets_in} / ${one.packets_out}`;
    counts.title = `${size(one.bytes_in)} in, ${size(one.bytes_out)} out`;
    const [choose, kind] = who.children;
    choose.setAttribute("aria-pressed", String(talk.chosen === one.id));
    const more = one.id === socket.id ? ", you" : talk.unread.has(one.id) ? ", said more" : "";
    kind.textContent = one.kind + more;
}

// --- how others join

const { hostname, host, port, protocol } = location;
const scheme = protocol === "https:" ? "wss" : "ws";
const shownPort = port || (scheme === "wss" ? "443" : "80");
element("python").textContent = `peer = await AnySocket().connect("${scheme}", "${hostname}", ${shownPort})
print(await peer.rpc.peers())`;
element("node").textContent = `new AnySocket().connect("ws", "${hostname}", ${shownPort})
    .then(async (peer) => console.log(await peer.rpc.peers()));`;
element("page").textContent = `<script type="module">
    import { AnySocket } from "${protocol}//${host}/@anysocket.mjs";
    const peer = await new AnySocket().connect("${scheme}://${host}");
    console.log(await peer.rpc.peers());
</script>`;

// --- the beginning

setInterval(() => {
    if (!document.hidden) look();
}, EVERY);

async function join() {
    try {
        await socket.connect({ reconnect: { maxDelay: 5000 } });
    } catch (error) {
        element("state").textContent = `The hub does not answer: ${/** @type {Error} */ (error).message}. Trying again.`;
        setTimeout(join, 2 * EVERY);
    }
}

join();
