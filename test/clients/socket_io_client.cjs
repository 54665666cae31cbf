// SPDX-License-Identifier: Apache-2.0
// Talks to socket_io_server.cjs with socket.io's own client, and prints what it used as JSON.
// Usage: node socket_io_client.cjs URL
"use strict";

const assert = require("node:assert");
const { once } = require("node:events");
const { io } = require("socket.io-client");

const url = process.argv[2];
const options = { rejectUnauthorized: false, forceNew: true, reconnection: false };

// Resolves when the socket has connected; its transports are noted in the order of their use.
async function connect(more = {}) {
    const socket = io(url, { ...options, ...more });
    const { engine } = socket.io;
    socket.used = [];
    engine.on("open", () => socket.used.push(engine.transport.name));
    engine.on("upgrade", (transport) => socket.used.push(transport.name));
    const failed = once(socket, "connect_error").then(([error]) => {
        throw error;
    });
    await Promise.race([once(socket, "connect"), failed]);
    return socket;
}

async function upgraded(socket) {
    while (socket.io.engine.transport.name !== "websocket") {
        await once(socket.io.engine, "upgrade");
    }
}

async function echo(socket, size) {
    for (const data of ["hello", "ä€😀", "x".repeat(size), { nested: [1, null, "two"] }]) {
        assert.deepStrictEqual(await socket.emitWithAck("echo", data), data);
    }
    const bytes = Buffer.alloc(2 * size, "binary");
    assert.ok(bytes.equals(Buffer.from(await socket.emitWithAck("echo", bytes))));
}

async function main() {
    const first = await connect();
    await upgraded(first);
    const second = await connect({ transports: ["websocket"] });
    const polls = await connect({ transports: ["polling"] });
    const all = [first, second, polls];
    for (const socket of all) {
        await echo(socket, socket === polls ? 1 << 15 : 1 << 19);  // the client is slow with what it polls
        await socket.emitWithAck("join", "room");
    }
    for (const one of all) {
        const others = all.filter((socket) => socket !== one).map((socket) => once(socket, "said"));
        one.emit("say", "room", "to all others");
        assert.deepStrictEqual(await Promise.all(others), [["to all others"], ["to all others"]]);
    }
    const ended = once(second, "disconnect");
    second.emit("leave");
    assert.deepStrictEqual((await ended)[0], "io server disconnect");
    console.log(JSON.stringify(all.map((socket) => socket.used)));
    first.disconnect();
    polls.disconnect();
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
