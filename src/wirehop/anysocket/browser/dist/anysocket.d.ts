/*! The browser client of Wirehop, MIT licensed. */
/** The remote broke the rules of the wire; the link ends with `message` as its reason. */
export declare class ProtocolError extends Error {
    detail: string;
    /**
     * @param {string} reason what `disconnected` reports
     * @param {string} [detail] what was wrong, for people
     */
    constructor(reason: string, detail?: string);
}

/** The link is over, or could not be made; `message` is the reason. */
export declare class ConnectionClosed extends Error {
    /** @param {string} reason */
    constructor(reason: string);
}

/** No reply came in time. The peer stays connected. */
export declare class ReplyTimeout extends Error {
    /** @param {string} message */
    constructor(message: string);
}

/** A limit of this side; nothing was sent. */
export declare class LimitExceeded extends Error {
    /** @param {string} message */
    constructor(message: string);
}

/**
 * The remote function failed. `error`, `details` and `code` are what the remote said, as npm
 * anysocket rejects with them.
 *
 * A function given to `setRPC` may throw one: it travels as it is.
 */
export declare class RemoteError extends Error {
    error: unknown;
    details: unknown;
    code: number;
    /**
     * @param {unknown} error the remote's text, or whatever else it rejected with
     * @param {unknown} [details] where it happened
     * @param {number} [code] as in HTTP
     */
    constructor(error: unknown, details?: unknown, code?: number);
}

export type PeerEvents = {
    message: [packet: AnyPacket];
    e2e: [peer: AnyPeer];
    heartbeat: [peer: AnyPeer];
    disconnected: [peer: AnyPeer, reason: string];
};

export type PeerOptions = {
    /**
     * for the connection and both AUTH packets (5000)
     */
    authTimeout?: number;
    /**
     * for the other's SWITCH, from ours on (5000)
     */
    e2eTimeout?: number;
    /**
     * for a reply, where the request does not say otherwise (30000)
     */
    replyTimeout?: number;
    /**
     * whether this side pings (true)
     */
    heartbeatEnabled?: boolean;
    /**
     * silence after which a ping is sent (5000)
     */
    heartbeatInterval?: number;
    /**
     * intervals of silence after a ping that end the link (2)
     */
    heartbeatsMaxMissed?: number;
    /**
     * JSON text of one message: 16 of the largest chunks (16 Mi)
     */
    maxMessageSize?: number;
    /**
     * packets of which the last chunk is missing (64)
     */
    maxOpenPackets?: number;
    /**
     * between two chunks of a packet (30000)
     */
    packetTimeout?: number;
    /**
     * requests in flight (65536)
     */
    maxPendingReplies?: number;
    /**
     * peers reached through one relay (1024)
     */
    maxRelayed?: number;
    /**
     * bytes unsent above which awaiting `send` waits (1 Mi)
     */
    highWater?: number;
    /**
     * unsent at which sending throws, and unread at which the link
     * ends: a few of the largest messages (64 Mi)
     */
    sendLimit?: number;
};

export type ConnectExtras = {
    /**
     * of the WebSocket ("/")
     */
    path?: string;
    /**
     * gives up connecting, and later reconnecting; a peer stays
     */
    signal?: AbortSignal;
    /**
     * whether to connect again when the link is
     * lost after it was made (true)
     */
    reconnect?: boolean | ReconnectOptions;
    /**
     * instead of the global one
     */
    WebSocket?: WebSocketClass;
};

export type ConnectOptions = PeerOptions & ConnectExtras;

export type ReconnectOptions = {
    /**
     * about the first wait, in milliseconds (250)
     */
    minDelay?: number;
    /**
     * about the longest: a server that is back has its pages back (10000)
     */
    maxDelay?: number;
    /**
     * in a row before it gives up (Infinity)
     */
    attempts?: number;
};

export type WebSocketClass = new (url: string) => WebSocketLike;

export type WebSocketLike = {
    binaryType: string;
    bufferedAmount: number;
    onopen: ((event: any) => void) | null;
    onmessage: ((event: any) => void) | null;
    onclose: ((event: any) => void) | null;
    onerror: ((event: any) => void) | null;
    send: (text: string) => void;
    close: (code?: number, reason?: string) => void;
};

export type RequestOptions = {
    /**
     * milliseconds (the option `replyTimeout`)
     */
    timeout?: number;
    /**
     * gives the reply up
     */
    signal?: AbortSignal;
};

/**
 * @template {{[event: string]: any[]}} Events
 */
export declare class Emitter<Events extends {
    [event: string]: any[];
}> {
    #private;
    /**
     * Call `listener` at each event of that name, until `signal` aborts.
     * @template {keyof Events} K
     * @param {K} event
     * @param {(...values: Events[K]) => void} listener
     * @param {{signal?: AbortSignal, once?: boolean}} [options]
     * @returns {this}
     */
    on<K extends keyof Events>(event: K, listener: (...values: Events[K]) => void, { signal, once }?: {
        signal?: AbortSignal;
        once?: boolean;
    }): this;
    /**
     * Call `listener` at the next event of that name.
     * @template {keyof Events} K
     * @param {K} event
     * @param {(...values: Events[K]) => void} listener
     * @param {{signal?: AbortSignal}} [options]
     * @returns {this}
     */
    once<K extends keyof Events>(event: K, listener: (...values: Events[K]) => void, options?: {
        signal?: AbortSignal;
    }): this;
    /**
     * Call `listener` no more.
     * @template {keyof Events} K
     * @param {K} event
     * @param {(...values: Events[K]) => void} listener
     * @returns {this}
     */
    off<K extends keyof Events>(event: K, listener: (...values: Events[K]) => void): this;
    /**
     * A listener that throws is reported as an uncaught error is, and the others are called.
     * @template {keyof Events} K
     * @param {K} event
     * @param {Events[K]} values
     * @returns {boolean} whether anybody listened
     */
    emit<K extends keyof Events>(event: K, ...values: Events[K]): boolean;
}

/** How binary travels in JSON: standard base64 with padding. RPC uses it for you. */
export declare const Packer: Readonly<{
    /**
     * @param {ArrayBuffer | ArrayBufferView} data
     * @returns {string} its bytes as base64
     */
    pack(data: ArrayBuffer | ArrayBufferView): string;
    /**
     * @param {string} text base64; missing padding is forgiven
     * @returns {Uint8Array<ArrayBuffer>}
     * @throws {DOMException} for text that is not base64
     */
    unpack(text: string): Uint8Array<ArrayBuffer>;
}>;

export type SyncedTime = {
    /**
     * what it says now, since 1970
     */
    time: number;
    /**
     * the round trip of the exchange
     */
    rtt: number;
    /**
     * the remote's clock minus ours
     */
    offset: number;
};

export type Stub = {
    [name: string]: Stub;
} & ((...args: any[]) => Promise<any>);

export type Reconnecting = {
    url: string;
    /**
     * from 1 on
     */
    attempt: number;
    /**
     * milliseconds until then
     */
    delay: number;
    /**
     * why the link, or the attempt before, ended
     */
    reason: string;
};

/** One message: `seq` its number, `peer` its sender, `msg` its value. */
export declare class AnyPacket {
    #private;
    peer: AnyPeer;
    seq: number;
    /** @type {any} */
    msg: any;
    /**
     * Answer this message; the answer is on its way at the call. A reply cannot be replied to: that
     * does nothing.
     * @param {unknown} message any JSON value
     * @returns {Promise<void>} as that of `peer.send`
     * @throws {TypeError} for what JSON cannot say
     */
    reply(message: unknown): Promise<void>;
}

export type Stats = {
    /**
     * messages, replies, calls, heartbeats and the wire's own
     */
    packetsIn: number;
    /**
     * likewise, also those that are still queued
     */
    packetsOut: number;
    /**
     * bytes and characters that are not sent yet
     */
    queued: number;
    /**
     * the round trip of the last heartbeat, in milliseconds
     */
    lag: number | null;
};

/**
 * A remote that is authenticated. Not made by hand.
 *
 * Events: `message(packet)`, `e2e(peer)` when the link is encrypted, `heartbeat(peer)`,
 * `disconnected(peer, reason)`.
 * @extends {Emitter<PeerEvents>}
 */
export declare class AnyPeer extends Emitter<PeerEvents> {
    #private;
    /** The remote's id: 32 hex digits. */
    id: string;
    /** Of this link, as `id` is of the remote. */
    connectionID: string;
    /** @type {number | null} the round trip of the last heartbeat, in milliseconds */
    lag: number | null;
    /** @type {string | null} why the link is over, or null */
    reason: string | null;
    /** The remote's functions: `await peer.rpc.hello.user("Ada")`. */
    get rpc(): Stub;
    /**
     * Call a remote function, as `rpc` does, with options.
     * @param {string | string[]} path "hello.user" or ["hello", "user"]
     * @param {unknown[]} [args] JSON values; typed arrays and ArrayBuffers arrive as binary
     * @param {RequestOptions} [options]
     * @returns {Promise<any>} the result; rejected with RemoteError when the function failed
     */
    call(path: string | string[], args?: unknown[], options?: RequestOptions): Promise<any>;
    /**
     * Send a message; it is on its way at the call. `send(message, true)` is `request`, as the seed
     * has it.
     * @overload
     * @param {unknown} message any JSON value; undefined is sent as {}
     * @param {false} [awaitReply]
     * @returns {Promise<void>} when what was sent is, or is about to be, on its way to the remote;
     *   rejected with ConnectionClosed
     * @overload
     * @param {unknown} message
     * @param {boolean} awaitReply
     * @param {number} [timeout] milliseconds
     * @returns {Promise<AnyPacket>}
     */
    /**
     * @param {unknown} message
     * @param {boolean} [awaitReply]
     * @param {number} [timeout]
     * @returns {Promise<any>}
     * @throws {TypeError} at the call, for what JSON cannot say
     * @throws {LimitExceeded} at the call, when too much was not sent yet
     */
    send(message: unknown, awaitReply?: false): Promise<void>;
    /**
     * Send a message; it is on its way at the call. `send(message, true)` is `request`, as the seed
     * has it.
     * @overload
     * @param {unknown} message any JSON value; undefined is sent as {}
     * @param {false} [awaitReply]
     * @returns {Promise<void>} when what was sent is, or is about to be, on its way to the remote;
     *   rejected with ConnectionClosed
     * @overload
     * @param {unknown} message
     * @param {boolean} awaitReply
     * @param {number} [timeout] milliseconds
     * @returns {Promise<AnyPacket>}
     */
    /**
     * @param {unknown} message
     * @param {boolean} [awaitReply]
     * @param {number} [timeout]
     * @returns {Promise<any>}
     * @throws {TypeError} at the call, for what JSON cannot say
     * @throws {LimitExceeded} at the call, when too much was not sent yet
     */
    send(message: unknown, awaitReply: boolean, timeout?: number): Promise<AnyPacket>;
    /**
     * Send a message and wait for its reply.
     * @param {unknown} message any JSON value; undefined is sent as {}
     * @param {RequestOptions} [options]
     * @returns {Promise<AnyPacket>} rejected with ReplyTimeout, which leaves the peer as it was, with
     *   ConnectionClosed, or with the signal's reason
     */
    request(message: unknown, options?: RequestOptions): Promise<AnyPacket>;
    /**
     * Encrypt the link end to end. It begins at the call: what is sent after it waits. Either side
     * may begin, both may at once, and a second call changes nothing.
     * @returns {Promise<void>} when the link is encrypted; rejected with ConnectionClosed
     * @throws {Error} at the call, on a page that came over plain http from another machine
     */
    e2e(): Promise<void>;
    isE2EEnabled(): boolean;
    /**
     * "plain", or "legacy" for the encryption of npm anysocket: whoever reads along learns nothing,
     * but who can also write may change what arrives, and nobody has shown who he is. Compare the
     * `fingerprint`.
     * @returns {"plain" | "legacy"}
     */
    get security(): "plain" | "legacy";
    /**
     * @returns {string | null} a digest of both sides' keys, in 32 hex digits, once the link is
     *   encrypted: the same on both sides unless somebody sits between them
     */
    get fingerprint(): string | null;
    /** @returns {boolean} whether this peer is reached through another one */
    isProxy(): boolean;
    /**
     * The remote's clock. Measured by the first call, or again with `refresh`.
     * @param {boolean} [refresh]
     * @returns {Promise<SyncedTime>}
     */
    getSyncedTime(refresh?: boolean): Promise<SyncedTime>;
    /** Ask for a sign of life now; the answer is a `heartbeat` event and sets `lag`. */
    heartbeat(): void;
    /** What went over the link so far. */
    get stats(): Stats;
    /**
     * Disconnect, at the call; what was sent before goes out first.
     * @param {string} [reason] stays here: the remote learns that we closed
     * @returns {Promise<void>} when that is done
     */
    disconnect(reason?: string): Promise<void>;
}

export type SocketOptions = {
    /**
     * 32 lowercase hex digits (a new one)
     */
    id?: string;
    onAuth?: (packet: {
        id: string;
        auth?: any;
    }) => boolean | Promise<boolean>;
    authPacket?: () => unknown;
    /**
     * what `setRPC` takes
     */
    rpc?: object;
};

/**
 * A node in the network, with the id that its peers know it by.
 *
 * Events: `connected(peer)`, `message(packet)`, `e2e(peer)`, `heartbeat(peer)`,
 * `disconnected(peer, reason)`, and `reconnecting(news)` before each wait for a lost link.
 * @extends {Emitter<{
 *   connected: [peer: AnyPeer],
 *   message: [packet: AnyPacket],
 *   e2e: [peer: AnyPeer],
 *   heartbeat: [peer: AnyPeer],
 *   disconnected: [peer: AnyPeer, reason: string],
 *   reconnecting: [news: Reconnecting],
 * }>}
 */
export declare class AnySocket extends Emitter<{
    connected: [peer: AnyPeer];
    message: [packet: AnyPacket];
    e2e: [peer: AnyPeer];
    heartbeat: [peer: AnyPeer];
    disconnected: [peer: AnyPeer, reason: string];
    reconnecting: [news: Reconnecting];
}> {
    #private;
    id: string;
    static Packer: Readonly<{
        pack(data: ArrayBuffer | ArrayBufferView): string;
        unpack(text: string): Uint8Array<ArrayBuffer>;
    }>;
    /** @param {SocketOptions} [options] */
    constructor({ id, onAuth, authPacket, rpc: functions }?: SocketOptions);
    /**
     * Whether this remote may be a peer; only true passes. Everyone may, unless you say otherwise.
     * @param {{id: string, auth?: any}} packet
     * @returns {boolean | Promise<boolean>}
     */
    onAuth(packet: {
        id: string;
        auth?: any;
    }): boolean | Promise<boolean>;
    /** What our side shows to the other's `onAuth`. @returns {unknown} any JSON value, or undefined */
    authPacket(): unknown;
    /** @returns {ReadonlyMap<string, AnyPeer>} the peers that are connected now, by id */
    get peers(): ReadonlyMap<string, AnyPeer>;
    /** @param {string} id @returns {boolean} whether such a peer is connected, directly or through another */
    hasPeer(id: string): boolean;
    /** @param {string} id @returns {boolean} whether such a peer is connected by a connection of its own */
    hasDirectPeer(id: string): boolean;
    /**
     * Register the functions that peers may call. They get the arguments of the call and, last, the
     * calling peer; `this` is the object that holds them. They may be async. What begins with an
     * underscore cannot be called.
     * @param {object} functions an object, nested as deep as you like
     */
    setRPC(functions: object): void;
    /**
     * Send a message to every peer, at the call.
     * @param {unknown} message any JSON value
     * @param {boolean} [awaitReply]
     * @returns {Promise<(AnyPacket | void)[]>} all replies, if they are awaited
     */
    broadcast(message: unknown, awaitReply?: boolean): Promise<(AnyPacket | void)[]>;
    connect(options?: ConnectOptions): Promise<AnyPeer>;
    connect(url: string, options?: ConnectOptions): Promise<AnyPeer>;
    connect(scheme: string, host: string, port: number | string, options?: ConnectOptions): Promise<AnyPeer>;
    /**
     * Disconnect every peer, and connect to none again.
     * @returns {Promise<void>} when that is done; the socket may connect again afterwards
     */
    stop(): Promise<void>;
    /**
     * Reach a peer of one of our peers through it.
     * @param {string} peerID
     * @param {string} throughPeerID
     * @returns {Promise<AnyPeer>} when both ends have it; rejected with RemoteError when the relay
     *   refuses (npm's disconnects us instead), and with TypeError for ids that make no sense
     */
    proxy(peerID: string, throughPeerID: string): Promise<AnyPeer>;
    /**
     * Disconnect a peer that is reached through another.
     * @param {string} peerID
     * @param {string} throughPeerID
     * @param {string} [reason] what we report
     */
    unproxy(peerID: string, throughPeerID: string, reason?: string): void;
}

export default AnySocket;
