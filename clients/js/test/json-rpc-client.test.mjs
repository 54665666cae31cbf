// SPDX-License-Identifier: Apache-2.0
// Requests and notifications of the client, and what can go wrong with them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { JsonRpcClient, JsonRpcError } from "mod-websocket-jsonrpc";
import { thrownLater } from "./clock.mjs";
import { connected, scriptedClient } from "./scripted-client.mjs";
import { Queue, ScriptedServer, WebSocket, within } from "./server.mjs";

test("names what is not allowed in a configuration, and what is", () => {
  const ws = { uri: "ws://127.0.0.1:1/", WebSocket };
  const wrong = [
    [undefined, /configuration must be an object, not undefined/],
    [{}, /ws must be an object, not undefined/],
    [{ ws, hearbeat: 5 }, /configuration has no option "hearbeat"; there are heartbeat, sendCloseMessage, session/],
    [{ ws: { ...ws, url: "x" } }, /ws has no option "url"; there are uri, useSockJS/],
    [{ ws: { WebSocket } }, /ws.uri must be a ws: or wss: address, not undefined/],
    [{ ws: { ...ws, useSockJS: "yes" } }, /ws.useSockJS must be true or false, not "yes"/],
    [{ ws: { ...ws, onconnect: () => {} } }, /ws has no option "onconnect"; .* onconnected/],
    [{ ws: { ...ws, onerror: 1 } }, /ws.onerror must be a function, not 1/],
    [{ ws: { ...ws, SockJS: undefined, useSockJS: true } }, /useSockJS needs the class SockJS/],
    [{ ws, heartbeat: 0 }, /heartbeat must be a number of 1 to 2147483647 \(milliseconds\), not 0/],
    [{ ws, sendCloseMessage: 1 }, /sendCloseMessage must be true or false, not 1/],
    [{ ws, session: "S" }, /session must be true or false, not "S"/],
    [{ ws, maxPendingRequests: 0 }, /maxPendingRequests must be a whole number of 1 or more/],
    [{ ws, maxQueuedMessages: "many" }, /maxQueuedMessages must be/],
    [{ ws, rpc: 5 }, /rpc must be an object with options and methods, not 5/],
    [{ ws, rpc: { requestTimeout: "5s" } }, /rpc.requestTimeout must be .* not "5s"/],
    [{ ws, rpc: { heartbeatRequestTimeout: -1 } }, /rpc.heartbeatRequestTimeout must be/],
    [{ ws, rpc: { treeStopped: 5 } }, /rpc.treeStopped must be a function, as a method that the server calls, not 5/],
  ];
  for (const [configuration, message] of wrong) {
    assert.throws(() => new JsonRpcClient(configuration), { name: "ConfigurationError", message });
  }
});

test("rejects what is no call, and sends nothing of it", async (t) => {
  const { client, peer } = await connected(t);
  const loop = {};
  loop.loop = loop;
  const wrong = [
    [["", {}], /a method must be a text that is not empty, not ""/],
    [[undefined], /a method must be a text/],
    [["m", 5], /params of "m" must be an object or an array, or be left out, not 5/],
    [["m", "text"], /not "text"/],
    [["m", loop], /params of "m" cannot be written as JSON/],
    [["m", { big: 1n }], /params of "m" cannot be written as JSON/],
    [["m", {}, { timeout: 0 }], /timeout must be a number of 1 to/],
    [["m", {}, { retries: -1 }], /retries must be a whole number/],
    [["m", {}, { retry: 1 }], /options has no option "retry"; there are timeout, retries/],
  ];
  for (const [given, message] of wrong) {
    await assert.rejects(client.send(...given), { name: "ConfigurationError", message });
  }
  assert.throws(() => client.notify(""), { name: "ConfigurationError" });
  assert.throws(() => client.register("", () => {}), { name: "ConfigurationError" });
  assert.throws(() => client.register("m", "no function"), /the method "m" must be a function/);
  assert.equal(client.pendingRequests, 0);
  client.notify("after");
  assert.equal(await peer.text(), '{"jsonrpc":"2.0","method":"after"}');
});

test("answers by promise and by callback, with and without params", async (t) => {
  const { client, peer } = await connected(t);
  const promised = client.send("sum", [1, 2]);
  assert.equal(await peer.text(), '{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":0}');
  peer.result(0, 3);
  assert.equal(await promised, 3);
  const answers = new Queue();
  const callback = (...given) => answers.push(given);
  assert.equal(client.send("echo", { a: 1 }, callback), undefined);
  assert.equal(await peer.text(), '{"jsonrpc":"2.0","method":"echo","params":{"a":1},"id":1}');
  peer.result(1, null);
  assert.deepEqual(await answers.next(), [null, null]);
  client.send("bare", callback);
  assert.equal(await peer.text(), '{"jsonrpc":"2.0","method":"bare","id":2}');
  peer.error(2, { code: 7, message: "seven", data: { why: 1 }, type: "T" });
  const [error] = await answers.next();
  assert.ok(error instanceof JsonRpcError);
  assert.deepEqual([error.code, error.message, error.data, error.type], [7, "seven", { why: 1 }, "T"]);
  assert.equal(client.pendingRequests, 0);
});

test("matches answers by their ids, in any order", async (t) => {
  const { client, peer } = await connected(t);
  const all = ["a", "b", "c"].map((method) => client.send(method));
  for (let n = 0; n < 3; n++) await peer.text();
  for (const id of [2, 0, 1]) peer.result(id, `to ${id}`);
  assert.deepEqual(await Promise.all(all), ["to 0", "to 1", "to 2"]);
});

test("takes no notice of answers that come late, twice or to nobody", async (t) => {
  const { client, peer, clock, events } = await connected(t, { rpc: { requestTimeout: 50 } });
  const late = client.send("late");
  await peer.text();
  clock.advance(50);
  await assert.rejects(late, { name: "RequestTimeoutError", method: "late", milliseconds: 50 });
  peer.result(0, "late");
  peer.result(77, "to nobody");
  peer.error("text", { code: 1, message: "to nobody" });
  const once = client.send("once");
  await peer.text();
  peer.result(1, "first");
  peer.result(1, "second");
  assert.equal(await once, "first");
  const last = client.send("last");
  await peer.text();
  peer.result(2, "fine");
  assert.equal(await last, "fine");
  assert.deepEqual(events, ["onconnected"]);
});

test("times out by the time of the request itself, and not sooner", async (t) => {
  const { client, peer, clock } = await connected(t, { rpc: { requestTimeout: 100 } });
  const long = client.send("long", null, { timeout: 1000 });
  await peer.text();
  clock.advance(999);
  assert.equal(client.pendingRequests, 1);
  clock.advance(1);
  await assert.rejects(long, /Request has timed out: no answer to "long" in 1000 ms/);
});

test("tells of each kind of garbage, and goes on", async (t) => {
  const errors = new Queue();
  const { client, peer } = await connected(t, { ws: { onerror: (error) => errors.push(error) } });
  const garbage = [
    ["no json", /a message is no JSON/],
    ["", /a message is no JSON/],
    ["[]", /a message must be an object, not an array/],
    ["null", /a message must be an object, not null/],
    ["5", /a message must be an object, not 5/],
    ['{"id":1,"result":5}', /"jsonrpc" must be "2.0", not undefined/],
    ['{"jsonrpc":"1.0","id":99,"result":5}', /"jsonrpc" must be "2.0", not "1.0"/],
    ['{"jsonrpc":"2.0"}', /neither "method" nor "id"/],
    ['{"jsonrpc":"2.0","result":5}', /neither "method" nor "id"/],
    ['{"jsonrpc":"2.0","method":5,"id":1}', /"method" must be a text, not 5/],
    ['{"jsonrpc":"2.0","id":{},"result":5}', /"id" must be a number, a text or null, not an object/],
    ['{"jsonrpc":"2.0","id":true,"method":"m"}', /"id" must be a number/],
    ['{"jsonrpc":"2.0","id":99}', /must have one of "result" and "error"/],
    ['{"jsonrpc":"2.0","id":99,"error":null}', /must have one of "result" and "error"/],
    ['{"jsonrpc":"2.0","id":99,"result":1,"error":{"code":1,"message":"m"}}', /must have one of/],
    ['{"jsonrpc":"2.0","id":99,"error":"text"}', /"error" must be an object with an integer "code"/],
    ['{"jsonrpc":"2.0","id":99,"error":{"code":"1","message":"m"}}', /"error" must be an object/],
    ['{"jsonrpc":"2.0","id":99,"error":{"code":1e999,"message":"m"}}', /"error" must be an object/],
  ];
  for (const [text, message] of garbage) {
    peer.send(text);
    const error = await errors.next(`error about ${text}`);
    assert.equal(error.name, "ProtocolError", text);
    assert.match(error.message, message);
    assert.equal(error.received, text);
  }
  peer.socket.send(Buffer.from("{}"));
  assert.match((await errors.next()).message, /a message must be text, not binary/);
  peer.send({ jsonrpc: "2.0", id: null, error: { code: -32700, message: "Parse error" } });
  assert.equal((await errors.next()).code, -32700);
  const fine = client.send("fine");
  await peer.text();
  peer.result(0, "yes");
  assert.equal(await fine, "yes");
});

test("rejects a request with an answer that is none, instead of letting it time out", async (t) => {
  const { client, peer } = await connected(t);
  const answers = [
    ['{"jsonrpc":"2.0","id":0,"error":{"message":"no code"}}', /"error" must be an object/],
    ['{"id":1,"result":1}', /"jsonrpc" must be "2.0"/],
  ];
  for (const [text, message] of answers) {
    const asked = client.send("m");
    await peer.text();
    peer.send(text);
    await assert.rejects(asked, { name: "ProtocolError", message });
  }
  assert.equal(client.pendingRequests, 0);
});

test("is not led astray by members of objects that every object has", async (t) => {
  const { peer } = await connected(t);
  for (const [id, method] of ["constructor", "toString", "__proto__", "requestTimeout"].entries()) {
    peer.send({ jsonrpc: "2.0", id, method });
    const { error } = await peer.message();
    assert.deepEqual(error, { code: -32601, message: `the client has no method "${method}"` });
  }
  peer.send('{"jsonrpc":"2.0","id":9,"method":"pull","__proto__":{"method":"x"}}');
  assert.deepEqual(await peer.message(), { jsonrpc: "2.0", result: "push", id: 9 });
});

test("refuses more requests than may wait for an answer", async (t) => {
  const { client, peer } = await connected(t, { maxPendingRequests: 2 });
  const two = [client.send("a"), client.send("b")];
  await assert.rejects(client.send("c"), {
    name: "QueueFullError",
    message: "2 requests wait for an answer; that is maxPendingRequests",
  });
  await peer.text();
  await peer.text();
  peer.result(0, 0);
  await two[0];
  const next = client.send("d");
  assert.equal((await peer.message()).method, "d");
  peer.result(1, 1);
  peer.result(2, 2);
  assert.deepEqual(await Promise.all([two[1], next]), [1, 2]);
});

test("refuses more than may wait for a connection, and keeps the order of what does", async (t) => {
  const { client, server } = await scriptedClient(t, { maxQueuedMessages: 2, session: false });
  client.notify("one");
  const two = client.send("two");
  await assert.rejects(client.send("three"), /2 messages wait for a connection; that is maxQueuedMessages/);
  assert.throws(() => client.notify("three"), { name: "QueueFullError" });
  assert.deepEqual([client.queuedMessages, client.pendingRequests], [2, 1]);
  const peer = await server.peer();
  assert.equal((await peer.message()).method, "one");
  assert.equal((await peer.message()).method, "two");
  peer.result(0, "done");
  assert.equal(await two, "done");
  assert.equal(client.queuedMessages, 0);
});

test("refuses octets that are more than may wait for a connection", async (t) => {
  const { client } = await scriptedClient(t, { ws: { maxBufferedBytes: 100 } });
  client.notify("m", ["x".repeat(40)]);
  assert.throws(() => client.notify("m", ["x".repeat(40)]), /octets wait for a connection; maxBufferedBytes is 100/);
});

test("does not send what timed out while it waited for a connection", async (t) => {
  const { client, server, clock } = await scriptedClient(t, { session: false });
  const never = client.send("never", {}, { timeout: 10 });
  clock.advance(10);
  await assert.rejects(never, { name: "RequestTimeoutError" });
  assert.equal(client.queuedMessages, 0);
  client.notify("next");
  const peer = await server.peer();
  assert.equal((await peer.message()).method, "next");
});

test("keeps nothing of five hundred requests, whatever became of them", async (t) => {
  const { client, peer, clock } = await connected(t, { maxPendingRequests: 100, rpc: { requestTimeout: 10 } });
  const timers = clock.timers;
  for (let round = 0; round < 5; round++) {
    const all = Array.from({ length: 100 }, () => client.send("m").then(() => "ok", (error) => error.name));
    for (let n = 0; n < 100; n++) {
      const { id } = await peer.message();
      if (n % 3 === 0) peer.result(id, n);
      if (n % 3 === 1) peer.error(id, { code: 1, message: "no" });
    }
    await peer.settled(); // the client has sent a Pong, so it has read what came before the Ping
    clock.advance(10);
    const ends = await Promise.all(all);
    assert.deepEqual(
      ["ok", "JsonRpcError", "RequestTimeoutError"].map((name) => ends.filter((end) => end === name).length),
      [34, 33, 33],
    );
  }
  assert.equal(client.pendingRequests, 0);
  assert.equal(clock.timers, timers);
});

test("hides no exception of a callback, and answers the others", async (t) => {
  const { client, peer } = await connected(t);
  const thrown = await thrownLater(async () => {
    client.send("a", () => {
      throw new Error("of a callback");
    });
    const other = client.send("b");
    await peer.text();
    await peer.text();
    peer.result(0, 0);
    peer.result(1, 1);
    assert.equal(await other, 1);
  });
  assert.deepEqual(thrown.map(({ message }) => message), ["of a callback"]);
});

test("rejects with a ClosedError what waits when it is closed, and all that comes after", async (t) => {
  const { client, peer } = await connected(t);
  const waiting = client.send("m");
  await peer.text();
  const closed = client.close();
  await assert.rejects(waiting, { name: "ClosedError", message: "the client has been closed" });
  await assert.rejects(client.send("m"), { name: "ClosedError" });
  for (const call of [() => client.notify("m"), () => client.reconnect(), () => client.forceClose()]) {
    assert.throws(call, { name: "ClosedError" });
  }
  assert.deepEqual(await peer.closed, { code: 1005, reason: "" });
  assert.equal((await closed).final, true);
  assert.equal(client.state, "disconnected");
});

test("closes while it connects", async (t) => {
  const { client, events, clock } = await scriptedClient(t);
  const waiting = client.send("m");
  await client.close();
  await assert.rejects(waiting, { name: "ClosedError" });
  assert.deepEqual(events, ["ondisconnect"]);
  assert.equal(clock.timers, 0);
});

test("lets Node end: nothing of a closed client keeps it", async (t) => {
  const { client, clock, peer } = await connected(t, { heartbeat: 1000, rpc: { m: () => 1 } });
  peer.send({ jsonrpc: "2.0", id: 1, method: "m" });
  for (let n = 0; n < 2; n++) await peer.text(); // ping, and the answer, which is kept for a while
  await client.close();
  assert.equal(clock.timers, 0);
});

test("reports that nobody listens, and connects when somebody does", async (t) => {
  const server = await ScriptedServer.start();
  const { port, uri } = server;
  await server.stop();
  const told = new Queue();
  const client = new JsonRpcClient({
    ws: {
      uri,
      WebSocket,
      reconnection: { minDelay: 5, maxDelay: 20 },
      onerror: (error) => told.push(["onerror", error.name, error.message]),
      onconnected: () => told.push(["onconnected"]),
      onreconnecting: () => told.push(["onreconnecting"]),
    },
    session: false,
  });
  t.after(() => client.close());
  const sent = client.send("m", {}, { timeout: 60_000 });
  const [name, kind, message] = await told.next();
  assert.deepEqual([name, kind], ["onerror", "ConnectionError"]);
  assert.match(message, /could not connect to ws:.*ECONNREFUSED/);
  await server.listen(port);
  t.after(() => server.stop());
  const peer = await server.peer();
  peer.result((await peer.message()).id, "at last");
  assert.equal(await within(sent, "answer"), "at last");
  let last;
  do last = (await told.next())[0];
  while (last === "onerror");
  assert.equal(last, "onconnected");
});
