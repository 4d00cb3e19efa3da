/**
 * @module state: the states of a link, and what each accepts.
 *
 * | state        | meaning                                   | packets that it accepts            |
 * | ------------ | ----------------------------------------- | ---------------------------------- |
 * | AUTHING      | our AUTH is on its way                    | AUTH                               |
 * | DECIDING     | AUTH received, the user says yes or no    | none, they wait                    |
 * | CONNECTED    | ready                                     | LINK, INTERNAL, HEARTBEAT, SWITCH  |
 * | SWITCHING    | ready, and the keys are being exchanged   | LINK, INTERNAL, HEARTBEAT, SWITCH  |
 * | SECURED      | ready, and encrypted                      | encrypted LINK, INTERNAL, HEARTBEAT|
 * | DISCONNECTED | over                                      | all, and ignores them              |
 */
import { AUTH, HEARTBEAT, INTERNAL, LINK, SWITCH } from "./packet.js";

export const AUTHING = 1;
export const DECIDING = 2;
export const CONNECTED = 3;
export const SWITCHING = 4;
export const SECURED = 5;
export const DISCONNECTED = 6;

const READY = [LINK, INTERNAL, HEARTBEAT, SWITCH];

/** @type {number[][]} packets that a state accepts as plain text */
export const PLAIN = [[], [AUTH], [], READY, READY, [], []];

export const ENCRYPTED = [LINK, INTERNAL, HEARTBEAT];
