// SPDX-License-Identifier: Apache-2.0
// Does with Kurento's own client, the npm package `kurento-jsonrpc`, all that it can do, and prints what came of it
// as JSON. Usage: node kurento_client.cjs URL
"use strict";

const assert = require("node:assert");

// It writes a lot, to the places that our own words go to.
console.debug = () => {};
console.error = () => {};
console.warn = () => {};

const { clients } = require("kurento-jsonrpc");

const url = process.argv[2];
const happened = [];
const waiting = [];

function happen(what) {
    happened.push(what);
    for (const one of waiting.splice(0)) {
        one();
    }
}

// Until it has happened `times` times.
async function until(what, times = 1) {
    while (happened.filter(one => one === what).length < times) {
        await new Promise(resolve => waiting.push(resolve));
    }
}

const client = new clients.JsonRpcClient({
    heartbeat: 60000, // its timer must not find it without a connection: it throws then
    sendCloseMessage: true,
    ws: {
        uri: url,
        useSockJS: false,
        onconnected: () => happen("connected"),
        onreconnecting: () => happen("reconnecting"),
        onreconnected: () => happen("reconnected"),
        onerror: error => happen(`error ${error}`),
    },
    rpc: {
        requestTimeout: 60000,
        heartbeatRequestTimeout: 60000,
        event: params => happen(`event ${params.topic} ${params.data}`),
        count: params => happen(`count ${JSON.stringify(params)}`),
        greet: (params, request) => request.reply(null, { hello: params.name }),
        refuse: (params, request) => request.reply({ code: 5, message: "no" }),
    },
});

function send(method, params) {
    return new Promise((resolve, reject) => {
        client.send(method, params, (error, result) => (error ? reject(error) : resolve(result)));
    });
}

async function talk() {
    await until("connected");
    const { value, sessionId } = await send("connect", {});
    assert.strictEqual(value, "OK");
    assert.deepStrictEqual(await send("echo", { some: "Value" }), { some: "Value", sessionId });
    assert.deepStrictEqual(await send("sum", [1, 2, 3.5]), { value: 6.5, sessionId });
    assert.deepStrictEqual(await send("remember", { name: "who", value: ["alice"] }), { sessionId });
    await assert.rejects(send("unknown", {}), { code: -32601, message: "Method not found" });
    await assert.rejects(send("recall", { nme: "who" }), { code: -32602 });

    await send("subscribe", ["news"]);
    await send("publish", ["news", "hello"]);
    await until("event news hello");
    await send("count", { to: 3, interval: 1 });
    await until("count [3]");

    const asked = await send("ask", { method: "greet", params: { name: "server" } });
    assert.deepStrictEqual(asked, { hello: "server", sessionId });
    await assert.rejects(send("ask", { method: "refuse", params: {} }), { code: 5, message: "no" });
    assert.deepStrictEqual(await send("ask", { method: "pull", params: {} }), { value: "push", sessionId });

    client.reconnect();
    await until("reconnected");
    const again = await send("connect", { sessionId });
    assert.deepStrictEqual(again, { value: "reconnection successful", sessionId });
    assert.deepStrictEqual(await send("recall", ["who"]), { value: ["alice"], sessionId });
    await send("publish", ["news", "again"]);
    await until("event news again"); // its subscription is there again
    await assert.rejects(send("connect", { sessionId: "nobody" }), { code: 40007, message: "reconnection error" });
    assert.strictEqual((await send("connect", {})).sessionId, sessionId);

    for (let pings = 0; pings < 5; ++pings) {
        assert.strictEqual((await send("ping", {})).value, "pong");
    }
    return sessionId;
}

talk().then(sessionId => {
    // It tells nobody when it has closed, but then there is nothing left to wait for.
    process.once("beforeExit", () => console.log(JSON.stringify({ sessionId, happened })));
    client.close(); // sends closeSession
}, error => {
    console.log(error, happened);
    process.exit(1);
});
