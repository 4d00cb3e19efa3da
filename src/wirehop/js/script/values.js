// What crosses as text: text, or bytes (each character is one), or JSON. The same numbers as in Python.

const TEXT = 0;
const RAW = 1;

const ENCODINGS = { utf8: "utf8", "utf-8": "utf8", ascii: "ascii", raw: "raw", binary: "raw" };

function encodingOf(name) {
    const encoding = ENCODINGS[String(name).toLowerCase()];
    if (encoding === undefined) {
        throw new Error(`"${name}" is no encoding here: raw, utf8 or ascii`);
    }
    return encoding;
}

const STEP = 8192;

// What an array of integers, or a typed array, is as bytes. Python refuses what is none.
function bytesOf(array) {
    let text = "";
    for (let at = 0; at < array.length; at += STEP) {
        text += String.fromCharCode.apply(null, array.slice(at, at + STEP));
    }
    return text;
}

function integersOf(bytes) {
    const integers = new Array(bytes.length);
    for (let i = 0; i < integers.length; i++) {
        integers[i] = bytes.charCodeAt(i);
    }
    return integers;
}

// The kind of what payload() gave last: two results, and no object for each piece of data.
let payloadKind = TEXT;

// What a program sends, ready to cross.
function payload(data, encoding) {
    if (typeof data === "string") {
        payloadKind = TEXT;
        if (encoding === undefined || encoding === null) {
            return data;
        }
        const name = encodingOf(encoding);
        const last = name === "utf8" ? 0xffff : name === "ascii" ? 0x7f : 0xff;
        if (last < 0xffff) {
            for (let i = 0; i < data.length; i++) {
                if (data.charCodeAt(i) > last) {
                    throw new Error(`the character at ${i} is not ${name}: ${JSON.stringify(data[i])}`);
                }
            }
            payloadKind = name === "raw" ? RAW : TEXT;
        }
        return data;
    }
    payloadKind = RAW;
    if (Array.isArray(data) || ArrayBuffer.isView(data)) {
        return bytesOf(
            Array.isArray(data) ? data : new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
        );
    }
    if (data instanceof ArrayBuffer) {
        return bytesOf(new Uint8Array(data));
    }
    if (data instanceof String) {
        return payload(String(data), encoding);
    }
    throw new TypeError("data is a string or an array of integers");
}

// What Python gives, as a program gets it.
function received(kind, value) {
    return kind === RAW ? integersOf(value) : value;
}

function isOneLine(text) {
    return !text.includes("\n") && !text.includes("\r");
}

// [["Name", "value"], ...] as lines, and back.
function linesOf(headers) {
    let lines = "";
    if (headers === undefined || headers === null) {
        return lines;
    }
    for (let i = 0; i < headers.length; i++) {
        const header = headers[i];
        const name = String(header[0]);
        const value = String(header[1]);
        if (header.length < 2 || !isOneLine(name) || !isOneLine(value)) {
            throw new Error(`a header is a name and a value, each of one line: ${JSON.stringify(header)}`);
        }
        lines += i === 0 ? name + "\n" + value : "\n" + name + "\n" + value;
    }
    return lines;
}

function pairsOf(lines) {
    const pairs = [];
    if (lines !== "") {
        const parts = lines.split("\n");
        for (let i = 0; i < parts.length; i += 2) {
            pairs.push([parts[i], parts[i + 1].replace(/[ \t]+$/, "")]);
        }
    }
    return pairs;
}
