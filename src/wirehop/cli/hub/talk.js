/** @module talk: conversations, with everyone through the hub or with one peer alone. */

/** @import {AnyPacket, AnyPeer, AnySocket} from "/@anysocket.mjs" */

/** Entries of a conversation that are kept. */
const LENGTH = 500;

const EVERYONE = "What you send here goes to every peer of the hub. Choose a peer to talk to it alone.";

/** @param {string} id @returns {any} */
const element = (id) => document.getElementById(id);

/** JSON where it is some, else the text. @param {string} text */
function valueOf(text) {
    try {
        return JSON.parse(text);
    } catch {
        return text;
    }
}

/** @param {unknown} value */
function textOf(value) {
    return typeof value === "string" ? value : JSON.stringify(value) ?? "nothing";
}

export class Talk {
    /** @type {string | null} whom we talk to; null is everyone */
    chosen = null;
    /** @type {Set<string | null>} where somebody spoke since we looked */
    unread = new Set();

    #socket;
    #hub;
    /** @type {Map<string | null, {from: string, text: string, failed: boolean, at: Date}[]>} */
    #said = new Map();
    /** @type {Map<string, string>} */
    #kinds = new Map();

    /** @param {AnySocket} socket @param {() => AnyPeer | null} hub */
    constructor(socket, hub) {
        this.#socket = socket;
        this.#hub = hub;
        socket.on("message", (packet) => this.#heard(packet));
        socket.on("connected", () => this.#show());
        socket.on("e2e", () => this.#show());
        socket.on("disconnected", (peer, reason) => {
            const matters = this.chosen === peer.id || this.#said.has(peer.id);
            if (peer.isProxy() && matters) this.#note(peer.id, "", `The link ended: ${reason}`, true);
            this.#show();
        });
        element("send").addEventListener("submit", (/** @type {Event} */ event) => {
            event.preventDefault();
            this.#send(element("text").value);
            element("text").value = "";
        });
        element("call").addEventListener("submit", (/** @type {Event} */ event) => {
            event.preventDefault();
            this.#call(element("method").value.trim(), element("arguments").value);
        });
        element("encrypt").addEventListener("click", () => this.#encrypt());
        element("leave").addEventListener("click", () => {
            this.chosen = null;
            this.#show();
        });
    }

    /** Talk to one peer alone. @param {string} id */
    async choose(id) {
        this.chosen = id;
        this.#show();
        element("text").focus();
        try {
            await this.#peer();
        } catch (error) {
            this.#failed(id, error);
        }
        this.#show();
    }

    /** What the hub says of its peers. @param {{id: string, kind: string}[]} peers */
    refresh(peers) {
        this.#kinds = new Map(peers.map(({ id, kind }) => [id, kind]));
        this.#show();
    }

    /** Whom we talk to: the hub, or the chosen peer, reached through it. @returns {Promise<AnyPeer>} */
    async #peer() {
        const hub = this.#hub();
        if (!hub) throw new Error("the hub is not connected");
        if (this.chosen === null) return hub;
        return this.#socket.peers.get(this.chosen) ?? this.#socket.proxy(this.chosen, hub.id);
    }

    /** @param {string} text */
    async #send(text) {
        const { chosen } = this;
        this.#note(chosen, "you", text);
        try {
            await (await this.#peer()).send(valueOf(text));
        } catch (error) {
            this.#failed(chosen, error);
        }
    }

    /** @param {string} method @param {string} text */
    async #call(method, text) {
        const result = element("result");
        result.className = "";
        result.textContent = "…";
        try {
            const given = JSON.parse(`[${text}]`);
            result.textContent = textOf(await (await this.#peer()).call(method, given));
        } catch (error) {
            result.className = "failed";
            result.textContent = error instanceof SyntaxError
                ? "The arguments must be JSON, with commas between them."
                : /** @type {Error} */ (error).message;
        }
    }

    async #encrypt() {
        const { chosen } = this;
        element("encrypt").disabled = true;
        try {
            await (await this.#peer()).e2e();
        } catch (error) {
            this.#failed(chosen, error);
        }
        this.#show();
    }

    /** @param {AnyPacket} packet */
    #heard({ peer, msg }) {
        if (peer.isProxy()) this.#note(peer.id, peer.id.slice(0, 8), textOf(msg));
        else this.#note(null, String(msg?.from ?? "hub").slice(0, 8), textOf(msg?.message ?? msg));
    }

    /** @param {string | null} where @param {unknown} error */
    #failed(where, error) {
        this.#note(where, "", /** @type {Error} */ (error).message, true);
    }

    /** @param {string | null} where @param {string} from @param {string} text @param {boolean} [failed] */
    #note(where, from, text, failed = false) {
        const said = this.#said.get(where) ?? [];
        this.#said.set(where, [...said, { from, text, failed, at: new Date() }].slice(-LENGTH));
        if (where === this.chosen) this.#list();
        else this.unread.add(where);
    }

    #list() {
        const list = element("messages");
        list.replaceChildren(...(this.#said.get(this.chosen) ?? []).map(({ from, text, failed, at }) => {
            const entry = document.createElement("li");
            if (failed) entry.className = "failed";
            const time = Object.assign(document.createElement("time"), { textContent: at.toLocaleTimeString() });
            const who = Object.assign(document.createElement("b"), { textContent: from });
            entry.append(time, ...(from ? [who] : []), text);
            return entry;
        }));
        list.scrollTop = list.scrollHeight;
    }

    #show() {
        const { chosen } = this;
        const peer = chosen === null ? this.#hub() : this.#socket.peers.get(chosen);
        const isSecure = peer?.isE2EEnabled() ?? false;
        const title = chosen === null ? "Everyone" : `${this.#kinds.get(chosen) ?? "peer"} ${chosen.slice(0, 8)}`;
        const said = chosen === null ? EVERYONE : ofLink(peer);
        if (element("talk-title").textContent !== title) {
            element("talk-title").textContent = title;
            element("result").textContent = "";
            this.unread.delete(chosen);
            this.#list();
        }
        element("talk-state").textContent = isSecure && chosen === null ? `${said} Your link to the hub is encrypted.` : said;
        element("talk-state").classList.toggle("secure", isSecure);
        element("encrypt").hidden = !peer || isSecure;
        element("encrypt").textContent = chosen === null ? "Encrypt the link to the hub" : "Encrypt";
        element("encrypt").disabled = !globalThis.isSecureContext;
        element("leave").hidden = chosen === null;
        element("leave").textContent = `Back to everyone${this.unread.has(null) ? ", who said more" : ""}`;
    }
}

/** @param {AnyPeer | undefined | null} peer */
function ofLink(peer) {
    if (!peer) return "Not connected.";
    if (!peer.isE2EEnabled()) return "Through the hub, which can read it.";
    return `Encrypted end to end: the hub cannot read it. Fingerprint ${peer.fingerprint}.`;
}
