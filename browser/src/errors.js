/** @module errors: what a call can be rejected with. */

export const REMOTE_CLOSED = "Remote Connection Closed";
export const LOCAL_CLOSED = "Local Connection Closed";

/** The remote broke the rules of the wire; the link ends with `message` as its reason. */
export class ProtocolError extends Error {
    /**
     * @param {string} reason what `disconnected` reports
     * @param {string} [detail] what was wrong, for people
     */
    constructor(reason, detail) {
        super(reason);
        this.name = "ProtocolError";
        this.detail = detail ?? "";
    }
}

/** The link is over, or could not be made; `message` is the reason. */
export class ConnectionClosed extends Error {
    /** @param {string} reason */
    constructor(reason) {
        super(reason);
        this.name = "ConnectionClosed";
    }
}

/** No reply came in time. The peer stays connected. */
export class ReplyTimeout extends Error {
    /** @param {string} message */
    constructor(message) {
        super(message);
        this.name = "ReplyTimeout";
    }
}

/** A limit of this side; nothing was sent. */
export class LimitExceeded extends Error {
    /** @param {string} message */
    constructor(message) {
        super(message);
        this.name = "LimitExceeded";
    }
}

/**
 * The remote function failed. `error`, `details` and `code` are what the remote said, as npm
 * anysocket rejects with them.
 *
 * A function given to `setRPC` may throw one: it travels as it is.
 */
export class RemoteError extends Error {
    /**
     * @param {unknown} error the remote's text, or whatever else it rejected with
     * @param {unknown} [details] where it happened
     * @param {number} [code] as in HTTP
     */
    constructor(error, details, code = 500) {
        super(typeof error === "string" && error ? error : said(error));
        this.name = "RemoteError";
        this.error = error;
        this.details = details;
        this.code = code;
    }
}

/** @param {unknown} error */
function said(error) {
    const text = error && typeof error === "object" ? JSON.stringify(error) : String(error ?? "");
    // An Error object arrives from npm anysocket as {}.
    return text === "{}" || !text ? "the remote function failed" : text;
}
