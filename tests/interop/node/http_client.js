// What Node's HTTP client does with a server: `node http_client.js PORT SCENARIO` prints what it
// saw as one line of JSON.
"use strict";
const http = require("http");

const port = Number(process.argv[2]);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const ports = new Set();

function ask(options, write) {
    return new Promise((resolve, reject) => {
        const request = http.request({ host: "127.0.0.1", port, agent, ...options }, (response) => {
            ports.add(response.socket.localPort);
            const seen = { status: response.statusCode, headers: response.headers, body: "" };
            response.setEncoding("latin1");
            response.on("data", (chunk) => (seen.body += chunk));
            response.on("error", reject);
            response.on("end", () => resolve(seen));
        });
        request.on("error", reject);
        if (write) write(request);
        else request.end();
    });
}

const scenarios = {
    get: () => ask({ path: "/hello?a=b" }),

    head: async () => [await ask({ method: "HEAD", path: "/hello" }), await ask({ path: "/hello" })],

    // Without a length: in chunks.
    post: () =>
        ask({ method: "POST", path: "/echo" }, (request) => {
            for (const chunk of ["one ", "\xe9\xff".repeat(40000), " three"]) request.write(chunk, "latin1");
            request.end();
        }),

    // The next one is asked before the answer to the last one is there, if the agent lets it.
    fifty: async () => {
        const order = [];
        const asked = Array.from({ length: 50 }, (_, number) =>
            ask({ path: `/hello?${number}` }).then((seen) => {
                order.push(number);
                return seen.body;
            }),
        );
        return { bodies: await Promise.all(asked), order };
    },

    continue: async () => {
        const events = [];
        const headers = { Expect: "100-continue", "Content-Length": 5 };
        const seen = await ask({ method: "PUT", path: "/echo", headers }, (request) => {
            request.on("continue", () => {
                events.push("continue");
                request.end("hello");
            });
            request.on("response", () => events.push("response"));
            request.flushHeaders();
        });
        return { events, ...seen };
    },

    // Once the server has got the head, and a part of the body.
    abortUpload: async () => {
        const headers = { "Content-Length": 1000000 };
        const aborted = await new Promise((resolve) => {
            const request = http.request({ host: "127.0.0.1", port, method: "POST", path: "/stream", headers });
            request.on("response", (response) => response.once("data", () => request.destroy()));
            request.on("error", (error) => resolve(error.code));
            request.on("close", () => resolve("closed"));
            request.write("x".repeat(10000));
        });
        return { aborted, then: (await ask({ path: "/hello" })).status };
    },

    abortDownload: async () => {
        await new Promise((resolve) => {
            http.get({ host: "127.0.0.1", port, path: "/down/1000000000" }, (response) => {
                response.once("data", () => response.destroy());
                response.on("close", resolve);
            }).on("error", () => {});
        });
        return { then: (await ask({ path: "/hello" })).status };
    },
};

scenarios[process.argv[3]]().then((result) => {
    process.stdout.write(JSON.stringify({ result, connections: ports.size }) + "\n");
    agent.destroy();
});
