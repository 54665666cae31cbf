// SPDX-License-Identifier: Apache-2.0
// Connections that are lost, sessions that outlive them, and what becomes of requests meanwhile.

import assert from "node:assert/strict";
import { test } from "node:test";
import { JsonRpcClient } from "mod-websocket-jsonrpc";
import { FakeClock } from "./clock.mjs";
import { fakeSockets } from "./fake-socket.mjs";
import { connected, scriptedClient } from "./scripted-client.mjs";

const session = { session: true };

/** Loses the connection, and goes on until the client asks for its session again. */
async function reconnected({ peer, server, clock, happened }, lose = () => peer.socket.terminate()) {
  lose();
  await happened("onreconnecting");
  clock.advance(1000);
  const next = await server.peer();
  return { next, asked: await next.message() };
}

test("begins with connect, and lets nothing leave before it is answered", async (t) => {
  const { client, server, happened } = await scriptedClient(t, session);
  const early = client.send("early");
  const peer = await server.peer();
  assert.deepEqual(await peer.message(), { jsonrpc: "2.0", method: "connect", id: 1 });
  await peer.settled();
  assert.equal(peer.unread, 0);
  peer.result(1, { value: "OK", sessionId: "S" });
  assert.deepEqual(await happened("onconnected"), { sessionId: "S" });
  assert.deepEqual(await peer.message(), { jsonrpc: "2.0", method: "early", id: 0 });
  peer.result(0, "answer");
  assert.equal(await early, "answer");
  assert.equal(client.sessionId, "S");
});

test("knows its session before it hears what the server says next", async (t) => {
  let known;
  const note = () => (known = client.sessionId);
  const { client, server } = await scriptedClient(t, { ...session, rpc: { note } });
  const peer = await server.peer();
  const { id } = await peer.message();
  peer.socket._socket.cork(); // both in one segment
  peer.result(id, { value: "OK", sessionId: "S" });
  peer.send({ jsonrpc: "2.0", method: "note" });
  peer.socket._socket.uncork();
  await peer.settled();
  assert.equal(known, "S");
});

test("answers what the server asks before it gives a session", async (t) => {
  const { server, happened } = await scriptedClient(t, { ...session, rpc: { who: () => "me" } });
  const peer = await server.peer();
  const { id } = await peer.message();
  peer.send({ jsonrpc: "2.0", id: 1, method: "who" });
  assert.deepEqual(await peer.message(), { jsonrpc: "2.0", result: "me", id: 1 });
  peer.result(id, { value: "OK", sessionId: "S" });
  assert.deepEqual(await happened("onconnected"), { sessionId: "S" });
});

test("works with a server that has no sessions", async (t) => {
  const { client, server, happened } = await scriptedClient(t, session);
  const peer = await server.peer();
  peer.error((await peer.message()).id, { code: -32601, message: "Method not found" });
  assert.deepEqual(await happened("onconnected"), { sessionId: undefined });
  const sent = client.send("m");
  peer.result((await peer.message()).id, 1);
  assert.equal(await sent, 1);
});

test("asks for its session when it comes back", async (t) => {
  const all = await connected(t, session);
  const { next, asked } = await reconnected(all);
  assert.deepEqual(asked, { jsonrpc: "2.0", method: "connect", params: { sessionId: "S" }, id: 1 });
  assert.equal(all.client.state, "reconnecting");
  next.result(1, { value: "reconnection successful", sessionId: "S" });
  assert.deepEqual(await all.happened("onreconnected"), { sessionId: "S", sameSession: true });
  assert.equal(all.client.state, "connected");
  assert.deepEqual(all.events, ["onconnected", "onreconnecting", "onreconnected"]);
});

test("asks for a new session when the server does not know the old one, and says so", async (t) => {
  const all = await connected(t, session);
  const { next } = await reconnected(all);
  next.error(1, { code: 40007, message: "reconnection error" });
  assert.deepEqual(await next.message(), { jsonrpc: "2.0", method: "connect", id: 2 });
  next.result(2, { value: "OK", sessionId: "S2" });
  assert.deepEqual(await all.happened("onreconnected"), { sessionId: "S2", sameSession: false });
});

test("tries another connection, later and later, while the server gives no session", async (t) => {
  const { client, server, clock, happened } = await scriptedClient(t, { ...session, rpc: { requestTimeout: 100 } });
  const refusals = [
    (peer, id) => peer.error(id, { code: -32603, message: "out of order" }),
    (peer, id) => peer.error(id, { code: 40007, message: "never had one" }),
    async (peer) => {
      await peer.settled();
      clock.advance(100);
    },
  ];
  for (const [n, refuse] of refusals.entries()) {
    const peer = await server.peer();
    await refuse(peer, (await peer.message()).id);
    const error = await happened("onerror");
    assert.match(error.message, [/out of order/, /never had one/, /timed out/][n]);
    assert.equal((await peer.closed).code, 1005);
    assert.equal(client.state, "connecting");
    const wait = 1000 * 2 ** n;
    clock.advance(wait - 1);
    await new Promise((done) => setImmediate(done));
    assert.equal(server.clients, 0);
    clock.advance(1);
  }
  const peer = await server.peer();
  peer.result((await peer.message()).id, { value: "OK", sessionId: "S" });
  await happened("onconnected");
});

test("does not storm a server whose connections do not hold", async (t) => {
  const all = await connected(t, session);
  let { peer } = all;
  for (let n = 0; n < 5; n++) {
    peer.socket.close(1012, "restart");
    const { retryIn } = await all.happened("onreconnecting");
    assert.equal(retryIn, 1000 * 2 ** n);
    all.clock.advance(retryIn);
    peer = await all.server.peer();
    peer.result((await peer.message()).id, { value: "OK", sessionId: "S" });
    await all.happened("onreconnected");
  }
});

test("rejects what was under way when the connection was lost", async (t) => {
  const all = await connected(t, session);
  const sent = all.client.send("m");
  await all.peer.text();
  all.peer.socket.close(1011, "oops");
  await assert.rejects(sent, {
    name: "ConnectionError",
    code: 1011,
    message: "the connection was lost before the answer, with code 1011 (oops)",
  });
  assert.equal(all.client.pendingRequests, 0);
});

test("sends what may be repeated again, before what waited, and with the same id", async (t) => {
  const all = await connected(t, session);
  const { client, peer } = all;
  const first = client.send("first", {}, { retries: 1 });
  const second = client.send("second", {}, { retries: 2 });
  const text = await peer.text();
  await peer.text();
  const { next } = await reconnected(all);
  const third = client.send("third");
  await next.settled();
  assert.equal(next.unread, 0);
  next.result(3, { value: "OK", sessionId: "S" });
  assert.equal(await next.text(), text);
  assert.equal((await next.message()).method, "second");
  assert.deepEqual(await next.message(), { jsonrpc: "2.0", method: "third", id: 4 });
  next.result(1, 1);
  assert.equal(await first, 1);
  next.socket.terminate();
  await assert.rejects(third, { name: "ConnectionError" });
  await all.happened("onreconnecting");
  all.clock.advance(2000);
  const last = await all.server.peer();
  last.result((await last.message()).id, { value: "OK", sessionId: "S" });
  assert.equal((await last.message()).method, "second");
  last.socket.terminate(); // it has been repeated twice
  await assert.rejects(second, { name: "ConnectionError" });
});

test("does not repeat a message that was too big", async (t) => {
  const all = await connected(t, session);
  const sent = all.client.send("big", {}, { retries: 5 });
  await all.peer.text();
  all.peer.socket.close(1009);
  await assert.rejects(sent, { name: "ConnectionError", code: 1009 });
});

test("lets the time of a request run while it is repeated", async (t) => {
  const all = await connected(t, { ...session, rpc: { requestTimeout: 1500 } });
  const sent = all.client.send("m", {}, { retries: 5 });
  await all.peer.text();
  await reconnected(all);
  all.clock.advance(500);
  await assert.rejects(sent, { name: "RequestTimeoutError" });
  assert.equal(all.client.queuedMessages, 0);
});

test("ends for good with a final code, and rejects all", async (t) => {
  const { client, peer, happened, clock } = await connected(t, { ...session, heartbeat: 1000 });
  const sent = client.send("m", {}, { retries: 9 });
  const closed = happened("ondisconnect");
  peer.socket.close(1008, "token expired");
  const info = await closed;
  assert.deepEqual([info.code, info.reason, info.final], [1008, "token expired", true]);
  await assert.rejects(sent, { name: "ClosedError", message: /ended for good, with code 1008 \(token expired\)/ });
  await assert.rejects(client.send("m"), { name: "ClosedError" });
  assert.equal(client.state, "disconnected");
  assert.equal(clock.timers, 0);
});

test("ends for good when nobody answers any more", async (t) => {
  const { client, server, happened, clock } = await connected(t, { ws: { reconnection: { maxRetries: 2 } } });
  await server.stop();
  for (let n = 0; n < 2; n++) {
    await happened(n === 0 ? "onreconnecting" : "onerror");
    clock.advance(60_000);
  }
  await happened("ondisconnect");
  assert.equal(client.state, "disconnected");
});

test("takes a server that does not answer pings for lost", async (t) => {
  const all = await connected(t, { ...session, heartbeat: 1000, rpc: { heartbeatRequestTimeout: 600 } });
  const { peer, clock, server, happened } = all;
  assert.deepEqual(await peer.message(), { jsonrpc: "2.0", method: "ping", params: { interval: 1000 }, id: 1 });
  peer.result(1, { value: "pong" });
  await peer.settled();
  clock.advance(1000);
  assert.deepEqual(await peer.message(), { jsonrpc: "2.0", method: "ping", id: 2 });
  clock.advance(600);
  assert.match((await happened("onerror")).message, /the server does not answer pings/);
  await happened("onreconnecting");
  assert.deepEqual(await peer.closed, { code: 1005, reason: "" });
  const next = await server.peer(); // at once
  next.result((await next.message()).id, { value: "reconnection successful", sessionId: "S" });
  assert.deepEqual((await next.message()).params, { interval: 1000 });
});

test("waits for the answer to a ping no longer than until the next, though requests may take longer", () => {
  for (const [rpc, time] of [
    [{ requestTimeout: 600_000 }, 1000],
    [{ requestTimeout: 300 }, 300],
    [{ requestTimeout: 600_000, heartbeatRequestTimeout: 1500 }, 1500],
  ]) {
    const { clock, sockets, last } = stuck({ session: false, heartbeat: 1000, rpc });
    last().opens();
    clock.advance(time - 1);
    assert.equal(sockets.length, 1);
    clock.advance(1);
    assert.equal(sockets.length, 2);
  }
});

test("takes a server that answers pings with an error for alive", async (t) => {
  const { peer, clock, events } = await connected(t, { heartbeat: 1000 });
  for (let n = 0; n < 5; n++) {
    const { id, method } = await peer.message();
    assert.equal(method, "ping");
    peer.error(id, { code: -32601, message: "Method not found" });
    await peer.settled();
    clock.advance(1000);
  }
  assert.deepEqual(events, ["onconnected"]);
});

/** A client whose network takes nothing: what is sent stays in the buffer. `errors` has those that onerror was told. */
function stuck({ ws, ...configuration }) {
  const { FakeSocket, sockets, last } = fakeSockets();
  class Stuck extends FakeSocket {
    send(data) {
      super.send(data);
      this.bufferedAmount += data.length;
    }
  }
  const clock = new FakeClock();
  const errors = [];
  const onerror = ({ message }) => errors.push(message);
  const socket = { uri: "ws://h/", WebSocket: Stuck, onerror, ...ws };
  const client = new JsonRpcClient({ ...configuration, ws: socket }, clock);
  const sent = () => last().sent.map((text) => JSON.parse(text).method);
  return { client, clock, sockets, last, errors, sent };
}

test("takes a server for lost that reads nothing, however full the buffer is", () => {
  const { client, clock, sockets, last, errors } = stuck({
    session: false,
    heartbeat: 1000,
    rpc: { requestTimeout: 500 },
    ws: { maxBufferedBytes: 300 },
  });
  last().opens().receives('{"jsonrpc":"2.0","id":0,"result":"pong"}');
  client.notify("big", ["x".repeat(170)]);
  assert.throws(() => client.notify("more"), { name: "QueueFullError" });
  clock.advance(1000);
  assert.match(last().sent.at(-1), /"ping"/);
  clock.advance(500);
  assert.deepEqual(errors, ["the server does not answer pings"]);
  assert.equal(sockets.length, 2);
});

test("takes a server for lost whose Close is not followed by an end", () => {
  const rpc = { requestTimeout: 500 };
  const { clock, sockets, last, errors } = stuck({ session: false, heartbeat: 1000, rpc });
  last().opens().receives('{"jsonrpc":"2.0","id":0,"result":"pong"}');
  last().readyState = 2;
  clock.advance(1500);
  assert.deepEqual(errors, ["the server does not answer pings"]);
  assert.equal(sockets.length, 2);
});

test("sends all that it has let in over the next connection, though more than may wait for the network", async () => {
  const { client, clock, last, errors, sent } = stuck({ session: false, ws: { maxBufferedBytes: 1000 } });
  last().opens();
  const requests = [];
  for (const method of ["a", "b", "c"]) {
    requests.push(client.send(method, ["x".repeat(550)], { retries: 1 }));
    await Promise.resolve();
    last().bufferedAmount = 0;
  }
  last().ends();
  clock.advance(1000);
  last().opens();
  assert.deepEqual(sent(), ["a", "b", "c"]);
  last().ends();
  for (const request of requests) await assert.rejects(request, { name: "ConnectionError" });
  assert.deepEqual(errors, []);
});

test("drops no notification for the sake of the request for a session", () => {
  const { client, last, errors, sent } = stuck({ ws: { maxBufferedBytes: 1000 } });
  client.notify("a", ["x".repeat(400)]);
  client.notify("b", ["x".repeat(480)]);
  assert.throws(() => client.notify("c", ["x".repeat(480)]), { name: "QueueFullError" });
  last().opens().receives('{"jsonrpc":"2.0","id":0,"result":{"sessionId":"S"}}');
  assert.deepEqual(sent(), ["connect", "a", "b"]);
  assert.deepEqual(errors, []);
  assert.throws(() => client.notify("c"), { name: "QueueFullError" });
});

test("pings at its interval while answers are slow, and no more once it is lost", async (t) => {
  const { peer, clock, happened } = await connected(t, { heartbeat: 100, rpc: { heartbeatRequestTimeout: 1000 } });
  for (let n = 0; n < 5; n++) {
    assert.equal((await peer.message()).method, "ping");
    clock.advance(100);
  }
  peer.socket.terminate();
  await happened("onreconnecting");
  assert.equal(clock.timers, 1); // of the next try
});

test("pings at once when the browser is online again, as the network may be another one", async (t) => {
  const listeners = new Set();
  globalThis.addEventListener = (type, listener) => type === "online" && listeners.add(listener);
  globalThis.removeEventListener = (type, listener) => listeners.delete(listener);
  t.after(() => {
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
  });
  const { client, peer, clock } = await connected(t, { heartbeat: 60_000, rpc: { heartbeatRequestTimeout: 1e6 } });
  const goOnline = () => [...listeners].forEach((listener) => listener());
  assert.deepEqual((await peer.message()).params, { interval: 60_000 });
  clock.advance(1000);
  goOnline();
  assert.equal((await peer.message()).method, "ping");
  clock.advance(59_999);
  await peer.settled();
  assert.equal(peer.unread, 0); // the next one is an interval later
  await client.close();
  assert.equal(listeners.size, 0);
  goOnline();
  assert.equal(clock.timers, 0);
});

test("reconnects at once when it is asked to, and drops what the old connection still says", async (t) => {
  const all = await connected(t, session);
  const { client, peer, server, happened } = all;
  const lost = client.send("m");
  client.reconnect();
  await assert.rejects(lost, { name: "ConnectionError" });
  await happened("onreconnecting");
  const next = await server.peer();
  const { id } = await next.message();
  peer.result(id, { value: "OK", sessionId: "of the old connection" });
  assert.deepEqual(await peer.closed, { code: 1005, reason: "" });
  next.result(id, { value: "reconnection successful", sessionId: "S" });
  assert.deepEqual(await happened("onreconnected"), { sessionId: "S", sameSession: true });
});

test("loses its connection on purpose, and stays away for the time it is told", async (t) => {
  const { client, peer, server, clock, happened } = await connected(t);
  client.forceClose(3000);
  assert.equal((await happened("onreconnecting")).retryIn, 3000);
  await peer.closed;
  clock.advance(2999);
  assert.equal(server.clients, 0);
  clock.advance(1);
  await server.peer();
  await happened("onreconnected");
  assert.throws(() => client.forceClose(-1), /retryIn must be a number of 0 to/);
});

test("asks for the address of each connection but the first", async (t) => {
  const answers = [
    (callback) => callback(new Error("no server")),
    (callback, uri) => setImmediate(() => callback(null, `${uri}?second`)),
    (callback) => callback(),
  ];
  let asked = 0;
  const newWsUriOnReconnection = (callback) => answers[asked++](callback, all.server.uri);
  const all = await connected(t, { ws: { newWsUriOnReconnection } });
  assert.equal(asked, 0);
  all.peer.socket.terminate();
  await all.happened("onreconnecting");
  all.clock.advance(1000);
  assert.match((await all.happened("onerror")).message, /no server/);
  all.clock.advance(2000);
  const second = await all.server.peer();
  await all.happened("onreconnected");
  second.socket.terminate();
  await all.happened("onreconnecting");
  all.clock.advance(4000);
  await all.server.peer();
  await all.happened("onreconnected");
  assert.equal(asked, 3);
});

test("tells the server that it closes, and waits for the answer", async (t) => {
  const { client, peer, happened } = await connected(t, { sendCloseMessage: true });
  const closed = client.close();
  assert.equal(await peer.text(), '{"jsonrpc":"2.0","method":"closeSession","id":0}');
  await peer.settled();
  assert.equal(peer.socket.readyState, 1);
  peer.result(0, "bye");
  assert.deepEqual(await peer.closed, { code: 1005, reason: "" });
  assert.equal((await closed).final, true);
  assert.equal((await happened("ondisconnect")).final, true);
});

test("closes all the same if the server says nothing to that, or has gone", async (t) => {
  const times = { rpc: { requestTimeout: 600_000 }, ws: { closeTimeout: 700 } };
  const silent = await connected(t, { sendCloseMessage: true, ...times });
  const closed = silent.client.close();
  await silent.peer.text();
  silent.clock.advance(700);
  assert.deepEqual(await silent.peer.closed, { code: 1005, reason: "" });
  await closed;
  const gone = await connected(t, { sendCloseMessage: true });
  const ended = gone.client.close();
  await gone.peer.text();
  gone.peer.socket.terminate();
  assert.equal((await ended).final, true);
  assert.deepEqual(gone.events, ["onconnected", "ondisconnect"]);
  assert.equal(gone.clock.timers, 0);
});

test("does not wait for an answer to what it could not send any more", async () => {
  const { client, clock, last, sent } = stuck({ session: false, sendCloseMessage: true });
  last().opens().readyState = 2; // it has got a Close
  const closed = client.close();
  clock.advance(5000);
  assert.equal((await closed).final, true);
  assert.deepEqual(sent(), []);
  assert.equal(clock.timers, 0);
});

test("is closed by a server that answers closeSession and closes, as Kurento's does", async (t) => {
  const { client, peer, clock, events } = await connected(t, { sendCloseMessage: true });
  const closed = client.close();
  const { id } = await peer.message();
  peer.result(id, "bye");
  peer.socket.close(1000);
  assert.equal((await closed).final, true);
  assert.deepEqual(events, ["onconnected", "ondisconnect"]);
  assert.equal(clock.timers, 0);
});

test("sends what onreconnected does before what waited", async (t) => {
  const onreconnected = () => all.client.notify("subscribe again");
  const all = await connected(t, { ...session, ws: { onreconnected } });
  const { next } = await reconnected(all);
  all.client.notify("waited");
  next.error(1, { code: 40007, message: "reconnection error" });
  const { id } = await next.message();
  next.result(id, { value: "OK", sessionId: "S2" });
  assert.equal((await next.message()).method, "subscribe again");
  assert.equal((await next.message()).method, "waited");
});
