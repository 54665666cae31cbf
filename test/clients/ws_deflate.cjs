// SPDX-License-Identifier: Apache-2.0
// Talks to echo endpoints with every combination of permessage-deflate parameters that the npm package
// `ws` can offer, and prints as JSON how many connections agreed on what. Usage: node ws_deflate.cjs URL...
"use strict";

const assert = require("node:assert");
const { once } = require("node:events");
const WebSocket = require("ws");

const atOnce = 16;

function* offers() {
    const bits = [undefined, 9, 10, 11, 12, 13, 14, 15];
    for (const serverNoContextTakeover of [undefined, true]) {
        for (const clientNoContextTakeover of [undefined, true]) {
            for (const serverMaxWindowBits of bits) {
                for (const clientMaxWindowBits of [...bits, true]) {
                    yield {
                        threshold: 0,
                        serverNoContextTakeover,
                        clientNoContextTakeover,
                        serverMaxWindowBits,
                        clientMaxWindowBits,
                    };
                }
            }
        }
    }
}

const line = (n) => JSON.stringify({ n, text: "ä€😀", items: Array.from({ length: n % 97 }, (_, i) => i * n) });
const noise = Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * i * 7919) >> 3));
// The long one is longer than every window.
const messages = ["", "a", line(50), line(50), noise, line(96), "x".repeat(40000), line(50)];

async function exchange(socket, message) {
    const reply = once(socket, "message");
    socket.send(message);
    const [data, isBinary] = await reply;
    assert.ok(Buffer.from(message).equals(data), `${message.length} bytes came back changed`);
    assert.strictEqual(isBinary, typeof message !== "string");
}

async function talk(url, perMessageDeflate) {
    const socket = new WebSocket(url, { perMessageDeflate, maxPayload: 1 << 26 });
    await once(socket, "open");
    for (const message of messages) {
        await exchange(socket, message);
    }
    const reply = once(socket, "message");
    socket.send(line(20), { fin: false });
    socket.send(line(30), { fin: true });
    assert.strictEqual((await reply)[0].toString(), line(20) + line(30));
    const extensions = socket.extensions;
    const closed = once(socket, "close");
    socket.close(1000);
    await closed;
    return extensions;
}

async function main() {
    const jobs = process.argv.slice(2).flatMap((url) => [...offers()].map((offer) => [url, offer]));
    const agreed = {};
    async function work() {
        for (let job = jobs.pop(); job !== undefined; job = jobs.pop()) {
            const extensions = await talk(...job).catch((error) => {
                throw new Error(`${job[0]} ${JSON.stringify(job[1])}: ${error.stack}`);
            });
            agreed[extensions] = (agreed[extensions] ?? 0) + 1;
        }
    }
    await Promise.all(Array.from({ length: atOnce }, work));
    console.log(JSON.stringify(agreed));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
