/** @module types: shapes that several modules speak of. */

/** @import {AnyPacket} from "./any_packet.js" */
/** @import {AnyPeer} from "./peer.js" */

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/**
 * The events of a peer, with what listeners get.
 * @typedef {{
 *   message: [packet: AnyPacket],
 *   e2e: [peer: AnyPeer],
 *   heartbeat: [peer: AnyPeer],
 *   disconnected: [peer: AnyPeer, reason: string],
 * }} PeerEvents
 */

/**
 * A packet that is complete. The value of a HEARTBEAT is the round trip in milliseconds, or null
 * for a pong that nobody asked for; that of a FORWARD, which has no number, is its frame.
 * @typedef {{kind: number, seq: number, value: any}} Packet
 */

/**
 * What a link allows, and for how long it waits. Times are in milliseconds, sizes in characters.
 * @typedef {object} PeerOptions
 * @property {number} [authTimeout] for the connection and both AUTH packets (5000)
 * @property {number} [e2eTimeout] for the other's SWITCH, from ours on (5000)
 * @property {number} [replyTimeout] for a reply, where the request does not say otherwise (30000)
 * @property {boolean} [heartbeatEnabled] whether this side pings (true)
 * @property {number} [heartbeatInterval] silence after which a ping is sent (5000)
 * @property {number} [heartbeatsMaxMissed] intervals of silence after a ping that end the link (2)
 * @property {number} [maxMessageSize] JSON text of one message: 16 of the largest chunks (16 Mi)
 * @property {number} [maxOpenPackets] packets of which the last chunk is missing (64)
 * @property {number} [packetTimeout] between two chunks of a packet (30000)
 * @property {number} [maxPendingReplies] requests in flight (65536)
 * @property {number} [maxRelayed] peers reached through one relay (1024)
 * @property {number} [highWater] bytes unsent above which awaiting `send` waits (1 Mi)
 * @property {number} [sendLimit] unsent at which sending throws, and unread at which the link
 *   ends: a few of the largest messages (64 Mi)
 */

/** @typedef {Required<PeerOptions>} Rules */

/**
 * @typedef {object} ConnectExtras
 * @property {string} [path] of the WebSocket ("/")
 * @property {AbortSignal} [signal] gives up connecting, and later reconnecting; a peer stays
 * @property {boolean | ReconnectOptions} [reconnect] whether to connect again when the link is
 *   lost after it was made (true)
 * @property {WebSocketClass} [WebSocket] instead of the global one
 */

/** @typedef {PeerOptions & ConnectExtras} ConnectOptions */

/**
 * @typedef {object} ReconnectOptions
 * @property {number} [minDelay] about the first wait, in milliseconds (250)
 * @property {number} [maxDelay] about the longest: a server that is back has its pages back (10000)
 * @property {number} [attempts] in a row before it gives up (Infinity)
 */

/**
 * What is needed of the standard's `WebSocket`.
 * @typedef {new (url: string) => WebSocketLike} WebSocketClass
 */

/**
 * @typedef {object} WebSocketLike
 * @property {string} binaryType
 * @property {number} bufferedAmount
 * @property {((event: any) => void) | null} onopen
 * @property {((event: any) => void) | null} onmessage
 * @property {((event: any) => void) | null} onclose
 * @property {((event: any) => void) | null} onerror
 * @property {(text: string) => void} send
 * @property {(code?: number, reason?: string) => void} close
 */

/**
 * What a protocol speaks to.
 * @typedef {object} Outside
 * @property {(frame: string) => void} write
 * @property {(packet: Packet) => void} deliver
 * @property {(error: Error) => void} fail the link has to end
 */

/**
 * A carrier of frames, as a peer sees it.
 * @typedef {object} Connection
 * @property {(frame: string) => void} send
 * @property {(code: number, reason: string) => void} close
 * @property {number} buffered bytes that are not sent yet
 */

/**
 * @typedef {object} RequestOptions
 * @property {number} [timeout] milliseconds (the option `replyTimeout`)
 * @property {AbortSignal} [signal] gives the reply up
 */

export {};
