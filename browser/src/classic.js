/** The classic script: one global, `AnySocket`, as npm anysocket's bundle has it. */
import * as names from "./index.js";

const { AnySocket, default: _, ...others } = names;
/** @type {any} */ (globalThis).AnySocket = Object.assign(AnySocket, others);
