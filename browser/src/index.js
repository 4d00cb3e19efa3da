/** The browser client of Wirehop: a page is a peer like any other. */
export { ConnectionClosed, LimitExceeded, ProtocolError, RemoteError, ReplyTimeout } from "./errors.js";
export { Packer } from "./packer.js";
export { AnyPacket } from "./any_packet.js";
export { AnyPeer } from "./peer.js";
export { AnySocket, AnySocket as default } from "./socket.js";
