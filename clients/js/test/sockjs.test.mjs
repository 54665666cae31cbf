// SPDX-License-Identifier: Apache-2.0
// SockJS instead of WebSocket: what the client does with a class that behaves like npm's sockjs-client.

import assert from "node:assert/strict";
import { test } from "node:test";
import { JsonRpcClient } from "mod-websocket-jsonrpc";
import { FakeClock } from "./clock.mjs";
import { fakeSockets } from "./fake-socket.mjs";

/** No bufferedAmount, no error events, and close throws when it is closed. */
function fakeSockJS() {
  const { FakeSocket, sockets, last } = fakeSockets();
  class FakeSockJS extends FakeSocket {
    bufferedAmount = undefined;
    close(...given) {
      if (this.readyState === 3) throw new Error("InvalidStateError: The connection has already been closed");
      super.close(...given);
    }
  }
  return { FakeSockJS, sockets, last };
}

test("opens SockJS at an http address, however that is written", () => {
  for (const [uri, expected] of [
    ["http://host/jsonrpc", "http://host/jsonrpc"],
    ["https://host/jsonrpc", "https://host/jsonrpc"],
    ["wss://host/jsonrpc", "https://host/jsonrpc"],
  ]) {
    const { FakeSockJS, last } = fakeSockJS();
    const client = new JsonRpcClient({ ws: { uri, useSockJS: true, SockJS: FakeSockJS } }, new FakeClock());
    assert.deepEqual(last().given, [expected]);
    void client.close();
  }
});

test("takes the global SockJS of a page", (t) => {
  const { FakeSockJS, sockets } = fakeSockJS();
  globalThis.SockJS = FakeSockJS;
  t.after(() => delete globalThis.SockJS);
  void new JsonRpcClient({ ws: { uri: "http://host/", useSockJS: true } }, new FakeClock()).close();
  assert.equal(sockets.length, 1);
});

test("calls, comes back and closes over SockJS", async () => {
  const { FakeSockJS, sockets, last } = fakeSockJS();
  const clock = new FakeClock();
  const errors = [];
  const ws = { uri: "http://host/", useSockJS: true, SockJS: FakeSockJS, onerror: (error) => errors.push(error.message) };
  const client = new JsonRpcClient({ session: false, ws }, clock);
  sockets[0].ends(1002, "Can't connect to server"); // not final while it has not been open
  assert.deepEqual(errors, ["could not connect to http://host/"]);
  clock.advance(1000);
  const lost = client.send("lost");
  last().opens();
  assert.deepEqual(last().sent, ['{"jsonrpc":"2.0","method":"lost","id":0}']);
  last().ends(1006, "Connection lost");
  await assert.rejects(lost, { name: "ConnectionError", code: 1006 });
  clock.advance(2000);
  last().opens();
  const answered = client.send("m");
  last().receives('{"jsonrpc":"2.0","id":1,"result":"over SockJS"}');
  assert.equal(await answered, "over SockJS");
  const closed = client.close();
  last().ends(1000, "Normal closure");
  assert.equal((await closed).code, 1000);
  assert.equal(sockets.length, 3);
  assert.equal(clock.timers, 0);
});
