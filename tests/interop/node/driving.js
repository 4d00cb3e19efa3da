// What the drivers of npm packages share. Commands come as JSON lines on stdin, answers and events
// go as JSON lines to stdout. What JSON lacks is tagged: {$bytes: hex}, {$undefined: true},
// {$repeat: [text, count, tail]}, {$error: message, $code: code}; a long text comes back as
// {$text: [length, sha256]}.
"use strict";
const crypto = require("crypto");
const readline = require("readline");

const output = process.stdout;
console.log = console.error = () => {};

function pack(value) {
    if (value === undefined) return { $undefined: true };
    if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("hex") };
    if (typeof value === "string" && value.length > 10000) {
        return { $text: [value.length, crypto.createHash("sha256").update(value).digest("hex")] };
    }
    if (value instanceof Error) return { $error: value.message, ...(value.code && { $code: value.code }) };
    if (Array.isArray(value)) return value.map(pack);
    if (value && typeof value === "object") {
        return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, pack(item)]));
    }
    return value;
}

function unpack(value) {
    if (Array.isArray(value)) return value.map(unpack);
    if (value && typeof value === "object") {
        if ("$bytes" in value) return Buffer.from(value.$bytes, "hex");
        if ("$undefined" in value) return undefined;
        if ("$repeat" in value) return value.$repeat[0].repeat(value.$repeat[1]) + (value.$repeat[2] || "");
        return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unpack(item)]));
    }
    return value;
}

function say(message) {
    output.write(JSON.stringify(message) + "\n");
}

// Obey until stdin ends. `started` has what the first event tells.
function serve(commands, started) {
    readline.createInterface({ input: process.stdin }).on("line", async (line) => {
        const { id, command, args } = JSON.parse(line);
        try {
            say({ id, result: pack(await commands[command](...unpack(args))) });
        } catch (error) {
            say({ id, error: pack(error) });
        }
    }).on("close", () => process.exit(0));

    process.on("unhandledRejection", (error) => say({ event: "unhandled", error: pack(error) }));
    say({ event: "started", ...started });
}

module.exports = { pack, say, serve };
