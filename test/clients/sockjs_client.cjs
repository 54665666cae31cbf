// SPDX-License-Identifier: Apache-2.0
// Talks to an endpoint with the client of SockJS, as programs on Node do, and prints what it found as JSON. Usage:
// node sockjs_client.cjs URL
"use strict";

const assert = require("node:assert");
const { once, EventEmitter } = require("node:events");
const SockJS = require("sockjs-client");

const url = process.argv[2];

async function open(options) {
    const events = new EventEmitter();
    const socket = new SockJS(url, null, options);
    for (const name of ["open", "message", "close"]) {
        socket[`on${name}`] = (event) => events.emit(name, event);
    }
    const [name] = await Promise.race(["open", "close"].map((one) => once(events, one).then(() => [one])));
    return { socket, events, opened: name === "open" };
}

async function exchange({ socket, events }, text) {
    const reply = once(events, "message");
    socket.send(text);
    return (await reply)[0].data;
}

async function main() {
    const client = await open({});
    assert.ok(client.opened, "not opened");
    const { transport } = client.socket;
    for (const text of ["hello", "", "ä€😀\u2028\u0000\"\\", "x".repeat(100000)]) {
        assert.strictEqual(await exchange(client, text), text);
    }
    const received = [];
    const all = new Promise((resolve) => {
        client.events.on("message", ({ data }) => received.push(data) === 1000 && resolve());
    });
    for (let n = 0; n < 1000; n += 1) {
        client.socket.send(String(n));
    }
    await all;
    assert.deepStrictEqual(received, Array.from({ length: 1000 }, (_, n) => String(n)));
    const closed = once(client.events, "close");
    client.socket.send("close");
    const [{ code, reason, wasClean }] = await closed;
    // What is not offered is told at once.
    const other = await open({ transports: ["xhr-streaming", "xhr-polling"] });
    assert.ok(!other.opened, "a transport that is not offered");
    console.log(JSON.stringify({ transport, code, reason, wasClean }));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
