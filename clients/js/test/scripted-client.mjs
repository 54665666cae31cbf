// SPDX-License-Identifier: Apache-2.0

import { JsonRpcClient } from "mod-websocket-jsonrpc";
import { FakeClock } from "./clock.mjs";
import { Queue, ScriptedServer, WebSocket, within } from "./server.mjs";

const callbacks = ["onconnected", "onreconnected", "onreconnecting", "ondisconnect", "onerror"];

/**
 * A client and a server that follow the test. `events` has the names of callbacks in order, `told` what they were given,
 * `happened(name)` awaits the next call of one.
 */
export async function scriptedClient(t, { ws = {}, ...configuration } = {}) {
  const server = await ScriptedServer.start();
  const clock = new FakeClock();
  const events = [];
  const queues = Object.fromEntries(callbacks.map((name) => [name, new Queue()]));
  const told = Object.fromEntries(
    callbacks.map((name) => [
      name,
      (value) => {
        events.push(name);
        queues[name].push(value);
        ws[name]?.(value);
      },
    ]),
  );
  const client = new JsonRpcClient({ ...configuration, ws: { uri: server.uri, WebSocket, ...ws, ...told } }, clock);
  t.after(async () => {
    const closed = client.close();
    await server.stop();
    clock.advance(60_000); // closeSession that nobody answers
    await within(closed, "end of the client");
  });
  return { client, server, clock, events, happened: (name) => queues[name].next(name) };
}

/** One that is connected, by default without a session, as kurento-jsonrpc is. */
export async function connected(t, configuration = {}) {
  const all = await scriptedClient(t, { session: false, ...configuration });
  const peer = await all.server.peer();
  if (configuration.session) {
    const { id } = await peer.message();
    peer.result(id, { value: "OK", sessionId: "S" });
  }
  await all.happened("onconnected");
  return { ...all, peer };
}
