// SPDX-License-Identifier: Apache-2.0
// Messages that were damaged at random: whatever comes, the client lives on.

import assert from "node:assert/strict";
import { test } from "node:test";
import { JsonRpcClient } from "mod-websocket-jsonrpc";
import { FakeClock, thrownLater } from "./clock.mjs";
import { fakeSockets } from "./fake-socket.mjs";

const whole = [
  '{"id":1,"result":{"value":"OK","sessionId":"S"},"jsonrpc":"2.0"}',
  '{"id":10,"error":{"code":-1,"message":"EXCEPTION","data":"Data","sessionId":"S"},"jsonrpc":"2.0","data":{}}',
  '{"id":1,"method":"m","params":{"a":[1,null,{"b":"ä"}]},"jsonrpc":"2.0"}',
  '{"method":"n","params":[5],"jsonrpc":"2.0"}',
  '{"id":null,"error":{"code":-32700,"message":"Parse error"},"jsonrpc":"2.0"}',
];
const pieces = ['"', "{", "}", "[", "]", ":", ",", "null", "1e999", "-0", '"id"', '"method"', '"result"', '"error"', "\0", "\ud800"];

/** The same numbers each time. */
function numbers(seed) {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

function damaged(number) {
  let text = whole[number(whole.length)];
  for (let times = 1 + number(3); times > 0; times--) {
    const at = number(text.length + 1);
    const piece = number(2) === 0 ? "" : pieces[number(pieces.length)];
    text = text.slice(0, at) + piece + text.slice(at + number(6));
  }
  return text;
}

test("lives on, whatever comes", async () => {
  const { FakeSocket, last } = fakeSockets();
  const kinds = new Map();
  const count = (kind) => kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const configuration = {
    session: false,
    maxPendingRequests: Infinity,
    ws: { uri: "ws://host/", WebSocket: FakeSocket, onerror: (error) => count(error.name) },
    rpc: { m: () => count("request"), n: () => count("notification") },
  };
  const clock = new FakeClock();
  const client = new JsonRpcClient(configuration, clock);
  last().opens();
  const thrown = await thrownLater(() => {
    const number = numbers(1);
    for (let n = 0; n < 5000; n++) {
      if (n % 100 === 0) client.send("asked").then(() => count("answered"), (error) => count(`asked: ${error.name}`));
      last().receives(damaged(number));
    }
  });
  assert.deepEqual(thrown, []);
  assert.equal(client.state, "connected");
  // The damage was not such that nothing got far.
  for (const kind of ["request", "notification", "ProtocolError", "JsonRpcError", "answered"]) {
    assert.ok(kinds.get(kind) > 0, `${kind} in ${JSON.stringify([...kinds])}`);
  }
  const fine = client.send("fine");
  const { id } = JSON.parse(last().sent.at(-1));
  last().receives(JSON.stringify({ jsonrpc: "2.0", id, result: 1 }));
  assert.equal(await fine, 1);
  const closed = client.close();
  last().ends(1000);
  await closed;
  assert.equal(client.pendingRequests, 0);
  assert.equal(clock.timers, 0);
});
