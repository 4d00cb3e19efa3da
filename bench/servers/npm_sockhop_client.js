"use strict";
// The npm package sockhop as a client with so many requests under way.
// Usage: node npm_sockhop_client.js PORT OUTSTANDING

const { client: SockhopClient } = require("sockhop");

const port = Number(process.argv[2]);
const outstanding = Number(process.argv[3]);
const payload = "The quick brown fox jumps over the lazy dog 0123456789, The qu";

async function ask(client) {
    while (client.connected) {
        const stream = await client.request(payload);
        const { data } = await stream.next();
        if (data !== payload) throw new Error(`${data} came back`);
    }
}

async function main() {
    console.log(`ready ${port}`);
    const client = new SockhopClient({ port, response_timeout: 60000 });
    // The server starts when this is ready.
    while (!client.connected) await client.connect().catch(() => new Promise(resolve => setTimeout(resolve, 10)));
    for (let i = 0; i < outstanding; i++) ask(client);
}

main();
