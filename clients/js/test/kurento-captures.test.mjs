// SPDX-License-Identifier: Apache-2.0
// What kurento-jsonrpc 7.3.0 and its server said to each other, octet for octet. The client takes its place.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connected } from "./scripted-client.mjs";
import { Queue } from "./server.mjs";

/** Plays lines of a capture: C has to come from the client, S is sent. A function does what the application did. */
async function play(peer, ...lines) {
  for (const line of lines) {
    if (typeof line === "function") line();
    else if (line.startsWith("C ")) assert.equal(await peer.text(), line.slice(2));
    else peer.send(line.slice(2));
  }
}

test("pings, connects by the application, calls and hears the server as kurento-jsonrpc does", async (t) => {
  const results = new Queue();
  const callback = (error, result) => results.push(error ?? result);
  const treeStopped = ({ a }, request) => request.reply(null, { got: a });
  const { client, peer, clock } = await connected(t, { heartbeat: 1000, rpc: { treeStopped } });
  await play(
    peer,
    'C {"jsonrpc":"2.0","method":"ping","params":{"interval":1000},"id":0}',
    'S {"id":0,"result":{"value":"pong"},"jsonrpc":"2.0"}',
    () => client.send("connect", {}, callback),
    'C {"jsonrpc":"2.0","method":"connect","params":{},"id":1}',
    'S {"id":1,"result":{"value":"OK","sessionId":"S"},"jsonrpc":"2.0"}',
    () => client.send("echo", { some: "Value" }, callback),
    'C {"jsonrpc":"2.0","method":"echo","params":{"some":"Value"},"id":2}',
    'S {"id":2,"result":{"some":"Value","sessionId":"S"},"jsonrpc":"2.0"}',
    () => client.send("echo2", null, callback),
    'C {"jsonrpc":"2.0","method":"echo2","id":3}',
    'S {"id":3,"result":"","jsonrpc":"2.0"}',
    () => client.send("void", callback),
    'C {"jsonrpc":"2.0","method":"void","id":4}',
    'S {"id":4,"jsonrpc":"2.0","result":{"sessionId":"S"}}',
    () => client.send("list", callback),
    'C {"jsonrpc":"2.0","method":"list","id":5}',
    'S {"id":5,"result":{"value":[1,2],"sessionId":"S"},"jsonrpc":"2.0"}',
    () => client.send("fails", callback),
    'C {"jsonrpc":"2.0","method":"fails","id":6}',
    'S {"id":6,"error":{"code":-1,"message":"Exception message","data":"Data","type":"EXCEPTION","sessionId":"S"},"jsonrpc":"2.0","data":{}}',
  );
  assert.deepEqual(await results.next(), { value: "OK", sessionId: "S" });
  assert.deepEqual(await results.next(), { some: "Value", sessionId: "S" });
  assert.equal(await results.next(), "");
  assert.deepEqual(await results.next(), { sessionId: "S" });
  assert.deepEqual(await results.next(), { value: [1, 2], sessionId: "S" });
  const { code, message, data, type } = await results.next();
  assert.deepEqual([code, message, data, type], [-1, "Exception message", "Data", "EXCEPTION"]);
  clock.advance(1000);
  await play(
    peer,
    'C {"jsonrpc":"2.0","method":"ping","id":7}',
    'S {"id":7,"result":{"value":"pong","sessionId":"S"},"jsonrpc":"2.0"}',
    'S {"id":1,"method":"treeStopped","params":{"a":1},"jsonrpc":"2.0"}',
    'S {"id":1,"method":"treeStopped","params":{"a":1},"jsonrpc":"2.0"}',
    'C {"jsonrpc":"2.0","result":{"got":1},"id":1}',
    'C {"jsonrpc":"2.0","result":{"got":1},"id":1}',
    'S {"id":2,"method":"pull","jsonrpc":"2.0"}',
    'C {"jsonrpc":"2.0","result":"push","id":2}',
  );
});

test("comes back after a ping without an answer as kurento-jsonrpc does, with an empty Close", async (t) => {
  const configuration = { heartbeat: 1000, rpc: { heartbeatRequestTimeout: 600 } };
  const { client, peer, server, clock, happened } = await connected(t, configuration);
  await play(peer, 'C {"jsonrpc":"2.0","method":"ping","params":{"interval":1000},"id":0}');
  clock.advance(600);
  await happened("onreconnecting");
  assert.deepEqual(await peer.closed, { code: 1005, reason: "" });
  const next = await server.peer();
  await happened("onreconnected");
  const results = new Queue();
  const callback = (error, result) => results.push(error ?? result);
  await play(
    next,
    'C {"jsonrpc":"2.0","method":"ping","params":{"interval":1000},"id":1}',
    'S {"id":1,"result":{"value":"pong"},"jsonrpc":"2.0"}',
    () => client.send("connect", { sessionId: "S" }, callback),
    'C {"jsonrpc":"2.0","method":"connect","params":{"sessionId":"S"},"id":2}',
    'S {"id":2,"result":{"value":"reconnection successful","sessionId":"S"},"jsonrpc":"2.0"}',
    () => client.send("connect", { sessionId: "bogus" }, callback),
    'C {"jsonrpc":"2.0","method":"connect","params":{"sessionId":"bogus"},"id":3}',
    'S {"id":3,"error":{"code":40007,"message":"reconnection error"},"jsonrpc":"2.0"}',
  );
  assert.equal((await results.next()).value, "reconnection successful");
  assert.equal((await results.next()).code, 40007);
});

test("comes back after close code 4500, which it answers, as kurento-jsonrpc does", async (t) => {
  const { peer, server, clock, happened } = await connected(t);
  peer.socket.close(4500, "x");
  assert.deepEqual(await peer.closed, { code: 4500, reason: "x" });
  await happened("onreconnecting");
  clock.advance(1000);
  await server.peer();
  await happened("onreconnected");
});

test("closes the session as kurento-jsonrpc does", async (t) => {
  const { client, peer } = await connected(t, { sendCloseMessage: true });
  const closed = client.close();
  await play(
    peer,
    'C {"jsonrpc":"2.0","method":"closeSession","id":0}',
    'S {"id":0,"result":"bye","jsonrpc":"2.0"}',
  );
  assert.deepEqual(await peer.closed, { code: 1005, reason: "" });
  await closed;
});

test("drops what a Java server says in answer to notifications, and tells of it", async (t) => {
  const { peer, happened } = await connected(t);
  await play(peer, 'S {"error":{"code":-1,"message":"java.lang.RuntimeException"},"jsonrpc":"2.0"}');
  assert.match((await happened("onerror")).message, /neither "method" nor "id"/);
});
