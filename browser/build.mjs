// Builds what a Python user gets without Node: the ES module, the classic script and the types.
// `node build.mjs` writes them and prints their sizes, `node build.mjs --check` fails if what is
// there is not what the sources give.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const DIST = join(HERE, "../src/wirehop/anysocket/browser/dist");
const LIMIT = 12_000;
const BANNER = "/*! The browser client of Wirehop, MIT licensed. */\n";

/** Modules whose types are public, and which of these are. */
const PUBLIC = {
    errors: ["ProtocolError", "ConnectionClosed", "ReplyTimeout", "LimitExceeded", "RemoteError"],
    types: ["PeerEvents", "PeerOptions", "ConnectExtras", "ConnectOptions", "ReconnectOptions", "RequestOptions", "WebSocketClass",
        "WebSocketLike"],
    emitter: ["Emitter"],
    packer: ["Packer"],
    clock: ["SyncedTime"],
    rpc: ["Stub"],
    reconnect: ["Reconnecting"],
    any_packet: ["AnyPacket"],
    stats: ["Stats"],
    peer: ["AnyPeer"],
    socket: ["SocketOptions", "AnySocket"],
};

async function script(entry, format) {
    const { outputFiles } = await build({
        absWorkingDir: HERE,
        entryPoints: [`src/${entry}`],
        banner: { js: BANNER.trimEnd() },
        bundle: true,
        charset: "utf8",
        format,
        legalComments: "none",
        logLevel: "error",
        minify: true,
        target: "es2022",
        write: false,
    });
    return outputFiles[0].text;
}

/** What the type checker says of each module, joined to one file. */
function types() {
    const folder = mkdtempSync(join(tmpdir(), "anysocket-"));
    try {
        execFileSync(process.execPath, [
            join(HERE, "node_modules/typescript/bin/tsc"), "-p", HERE, "--noEmit", "false", "--declaration",
            "--emitDeclarationOnly", "--noCheck", "--stripInternal", "--rootDir", join(HERE, ".."), "--outDir", folder,
        ], { stdio: ["ignore", "inherit", "inherit"] });
        const found = readdirSync(folder, { recursive: true }).find((path) => path.endsWith("socket.d.ts"));
        const read = (name) => readFileSync(join(folder, found.replace("socket.d.ts", `${name}.d.ts`)), "utf8");
        const parts = Object.entries(PUBLIC).flatMap(([module, names]) => statements(read(module), names));
        return `${BANNER}${parts.join("\n")}\nexport default AnySocket;\n`.replaceAll(/(?:\b(?:rpc|clock)|import\("[^"]*"\))\.(?=[A-Z])/g, "");
    } finally {
        rmSync(folder, { recursive: true });
    }
}

/** The statements of a declaration file that export these names, each with the comment before it. */
function statements(text, names) {
    const found = [];
    let comment = "";
    let statement = "";
    for (const line of text.split("\n")) {
        if (!statement && /^(\/\*\*| \*)/.test(line)) {
            comment = line.startsWith("/**") ? `${line}\n` : `${comment}${line}\n`;
            continue;
        }
        statement += `${line}\n`;
        // A statement ends in the first column, or with its only line.
        if (!/^\}$|^\S.*;$/.test(line)) continue;
        const name = /^export (?:declare )?(?:class|const|type) (\w+)/.exec(statement)?.[1];
        if (names.includes(name)) {
            found.push((comment.includes("@typedef") ? "" : comment) + statement);
        }
        comment = statement = "";
    }
    return found;
}

const files = {
    "anysocket.mjs": await script("index.js", "esm"),
    "anysocket.js": await script("classic.js", "iife"),
    "anysocket.d.ts": types(),
};

let failed = false;
mkdirSync(DIST, { recursive: true });
for (const [name, text] of Object.entries(files)) {
    const path = join(DIST, name);
    const packed = gzipSync(text, { level: 9 }).length;
    console.log(`${name}: ${text.length} bytes, ${packed} gzipped`);
    if (!name.endsWith(".d.ts") && packed > LIMIT) {
        console.error(`${name} may have ${LIMIT} bytes`);
        failed = true;
    }
    if (!process.argv.includes("--check")) {
        writeFileSync(path, text);
    } else if (readFileSync(path, "utf8") !== text) {
        console.error(`${name} is not what the sources give: run node build.mjs`);
        failed = true;
    }
}
process.exitCode = failed ? 1 : 0;
