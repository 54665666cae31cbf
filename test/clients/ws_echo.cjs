// SPDX-License-Identifier: Apache-2.0
// Talks to an echo endpoint with the client of the npm package `ws`, as programs on Node do, and
// prints what it found as JSON: the code of its Close, and the extensions agreed on. Usage: node ws_echo.cjs URL
"use strict";

const assert = require("node:assert");
const { once } = require("node:events");
const WebSocket = require("ws");

const url = process.argv[2];

async function exchange(socket, message) {
    const reply = once(socket, "message");
    socket.send(message);
    const [data, isBinary] = await reply;
    return isBinary ? data : data.toString();
}

async function open(options) {
    const socket = new WebSocket(url, options);
    await once(socket, "open");
    return socket;
}

async function messages() {
    const socket = await open({});
    for (const text of ["hello", "", "ä€😀", "x".repeat(1 << 20)]) {
        assert.strictEqual(await exchange(socket, text), text);
    }
    for (const size of [0, 1, 125, 126, 65535, 65536, 5 << 20]) {
        const bytes = Buffer.alloc(size, "binary");
        assert.ok(bytes.equals(await exchange(socket, bytes)), `${size} bytes came back changed`);
    }
    return socket;
}

async function fragments(socket) {
    const reply = once(socket, "message");
    socket.send("one ", { fin: false });
    socket.send("two ", { fin: false });
    socket.send("three", { fin: true });
    assert.strictEqual((await reply)[0].toString(), "one two three");
}

async function pings(socket) {
    const pong = once(socket, "pong");
    socket.ping("are you there");
    assert.strictEqual((await pong)[0].toString(), "are you there");
}

async function order(socket) {
    const count = 5000;
    const received = [];
    const all = new Promise((resolve) => {
        socket.on("message", (data) => {
            received.push(data.toString());
            if (received.length === count) {
                resolve();
            }
        });
    });
    for (let n = 0; n < count; n += 1) {
        socket.send(String(n));
    }
    await all;
    socket.removeAllListeners("message");
    assert.deepStrictEqual(received, Array.from({ length: count }, (_, n) => String(n)));
}

async function close(socket) {
    const closed = once(socket, "close");
    socket.close(3001, "bye");
    return (await closed)[0];
}

async function main() {
    const socket = await messages();
    await fragments(socket);
    await pings(socket);
    await order(socket);
    const { extensions } = socket;
    const code = await close(socket);
    const offering = await open({ perMessageDeflate: true });
    assert.strictEqual(await exchange(offering, "offered"), "offered");
    await close(offering);
    console.log(JSON.stringify({ code, extensions }));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
