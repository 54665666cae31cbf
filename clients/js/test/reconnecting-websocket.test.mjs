// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { ClosedError, ConfigurationError, ConnectionError, QueueFullError } from "mod-websocket-jsonrpc";
import { ReconnectingWebSocket } from "mod-websocket-jsonrpc";
import { FakeClock, thrownLater } from "./clock.mjs";
import { fakeSockets } from "./fake-socket.mjs";
import { ScriptedServer, WebSocket, within } from "./server.mjs";

const URI = "ws://127.0.0.1:1/";

/** A ReconnectingWebSocket on sockets that the test moves, with all that it told. */
function scripted(options = {}, { uri = URI, random = 0 } = {}) {
  const { FakeSocket, sockets, last } = fakeSockets();
  const clock = new FakeClock(random);
  const told = [];
  const tell = (name) => (value) => {
    told.push([name, value]);
    return options[name]?.(value);
  };
  const callbacks = Object.fromEntries(["onopen", "onmessage", "onclose", "onerror"].map((name) => [name, tell(name)]));
  const socket = new ReconnectingWebSocket(uri, { WebSocket: FakeSocket, ...options, ...callbacks }, clock);
  return { socket, sockets, last, clock, told, of: (name) => told.filter(([n]) => n === name).map(([, v]) => v) };
}

test("names an option that is not allowed, and what is", () => {
  const { FakeSocket } = fakeSockets();
  const wrong = [
    [{ retries: 3 }, /options has no option "retries"; there are protocols, WebSocket/],
    [{ protocols: "a b" }, /protocols must be a token/],
    [{ protocols: [1] }, /protocols must be a token/],
    [{ WebSocket: {} }, /options.WebSocket must be a function, not an object/],
    [{ reconnection: true }, /reconnection must be false or an object with minDelay/],
    [{ reconnection: { delay: 1 } }, /reconnection has no option "delay"/],
    [{ reconnection: { minDelay: -1 } }, /reconnection.minDelay must be a number of 0 to 2147483647 \(milliseconds\), not -1/],
    [{ reconnection: { maxDelay: 999 } }, /reconnection.maxDelay must be a number of 1000 to/],
    [{ reconnection: { factor: 0.5 } }, /reconnection.factor must be a number of 1 to 100/],
    [{ reconnection: { jitter: 1.5 } }, /reconnection.jitter must be a number of 0 to 1, not 1.5/],
    [{ reconnection: { jitter: NaN } }, /not NaN/],
    [{ reconnection: { maxRetries: 1.5 } }, /reconnection.maxRetries must be a whole number of 0 or more, or Infinity/],
    [{ reconnection: { stableAfter: "5s" } }, /reconnection.stableAfter must be .* not "5s"/],
    [{ connectTimeout: 0 }, /connectTimeout must be a number of 1 to/],
    [{ closeTimeout: 2 ** 31 }, /closeTimeout must be/],
    [{ finalCloseCodes: [99] }, /finalCloseCodes must be an array of codes from 1000 to 4999/],
    [{ finalCloseCodes: 1008 }, /finalCloseCodes/],
    [{ maxQueuedMessages: -1 }, /maxQueuedMessages must be a whole number/],
    [{ maxBufferedBytes: 0 }, /maxBufferedBytes must be a whole number of 1 or more/],
    [{ onopen: "function" }, /options.onopen must be a function, not "function"/],
  ];
  for (const [options, message] of wrong) {
    assert.throws(() => new ReconnectingWebSocket(URI, { WebSocket: FakeSocket, ...options }), {
      name: "ConfigurationError",
      message,
    });
  }
  for (const options of [null, [], 5]) {
    assert.throws(() => new ReconnectingWebSocket(URI, options), ConfigurationError);
  }
});

test("names an address that is none", () => {
  const { FakeSocket, sockets } = fakeSockets();
  for (const uri of ["", "/jsonrpc", "nonsense", "ftp://host/", undefined, null, 7, {}, "ws://host/#part"]) {
    assert.throws(() => new ReconnectingWebSocket(uri, { WebSocket: FakeSocket }), {
      name: "ConfigurationError",
      message: /^uri must (be a ws: or wss: address|not have a fragment)/,
    });
  }
  assert.equal(sockets.length, 0);
});

test("takes addresses of http for those of WebSockets, URL objects and, in pages, paths", (t) => {
  assert.deepEqual(scripted({}, { uri: "https://host/a" }).last().given, ["wss://host/a"]);
  assert.deepEqual(scripted({}, { uri: new URL("ws://host/b") }).last().given, ["ws://host/b"]);
  globalThis.location = { href: "https://page.example/dir/index.html" };
  t.after(() => delete globalThis.location);
  assert.deepEqual(scripted({}, { uri: "/jsonrpc" }).last().given, ["wss://page.example/jsonrpc"]);
});

test("says what to do where there is no WebSocket", (t) => {
  const real = globalThis.WebSocket;
  delete globalThis.WebSocket;
  t.after(() => real && (globalThis.WebSocket = real));
  assert.throws(() => new ReconnectingWebSocket(URI), /there is no global WebSocket here .* give one as options.WebSocket/);
});

test("gives subprotocols to the socket", () => {
  assert.deepEqual(scripted({ protocols: ["a", "b"] }).last().given, [`${URI}`, ["a", "b"]]);
});

test("waits longer and longer, up to a limit, for as long as nobody answers", () => {
  const { last, clock, of } = scripted();
  for (let n = 0; n < 8; n++) {
    last().ends();
    clock.advance(of("onclose").at(-1).retryIn);
  }
  assert.deepEqual(
    of("onclose").map(({ retryIn }) => retryIn),
    [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000],
  );
  assert.equal(of("onerror").length, 8);
  assert.ok(of("onerror").every((error) => error instanceof ConnectionError && error.message.includes(URI)));
});

test("chooses its time by chance, so that clients do not come back all at once", () => {
  for (const [jitter, random, expected] of [
    [1, 0, 1000],
    [1, 0.75, 250],
    [0.5, 0.9, 550],
    [0, 0.999, 1000],
  ]) {
    const { last, of } = scripted({ reconnection: { jitter } }, { random });
    last().ends();
    assert.equal(of("onclose")[0].retryIn, expected);
  }
});

test("does not storm a server that lets it in and throws it out", () => {
  const { last, clock, of } = scripted();
  for (let n = 0; n < 5; n++) {
    last().opens().ends(1013, "try again later");
    clock.advance(of("onclose").at(-1).retryIn);
  }
  assert.deepEqual(
    of("onclose").map(({ retryIn }) => retryIn),
    [1000, 2000, 4000, 8000, 16_000],
  );
});

test("begins with short waits again after a connection that held", () => {
  const { last, clock, of } = scripted();
  last().ends();
  clock.advance(1000);
  last().ends();
  clock.advance(2000);
  last().opens();
  clock.advance(5000);
  last().ends();
  assert.deepEqual(
    of("onclose").map(({ retryIn }) => retryIn),
    [1000, 2000, 1000],
  );
  assert.deepEqual(of("onopen"), [{ reconnected: false }]);
  clock.advance(1000);
  last().opens();
  assert.deepEqual(of("onopen")[1], { reconnected: true });
});

test("gives up after maxRetries, and keeps no timer", async () => {
  const { socket, sockets, last, clock, of } = scripted({ reconnection: { maxRetries: 2 } });
  for (let n = 0; n < 3; n++) {
    last().fails("refused");
    clock.advance(60_000);
  }
  assert.equal(sockets.length, 3);
  assert.equal(socket.state, "closed");
  assert.deepEqual(
    of("onclose").map(({ final }) => final),
    [false, false, true],
  );
  assert.equal(clock.timers, 0);
  assert.throws(() => socket.send("x"), ClosedError);
  assert.throws(() => socket.reconnect(), ClosedError);
  assert.equal((await socket.close()).final, true);
});

test("comes back after no loss if it is told so", () => {
  const { socket, last } = scripted({ reconnection: false });
  last().opens().ends(1001);
  assert.equal(socket.state, "closed");
});

test("ends with codes that are final, and with no others", () => {
  for (const code of [1002, 1003, 1007, 1008, 1010]) {
    const { socket, last, of } = scripted();
    last().opens().ends(code, "no");
    assert.equal(socket.state, "closed");
    assert.deepEqual(of("onclose"), [{ code, reason: "no", wasClean: true, final: true, retryIn: undefined }]);
  }
  for (const code of [1000, 1001, 1005, 1006, 1009, 1011, 1012, 1013, 4500]) {
    const { socket, last } = scripted();
    last().opens().ends(code);
    assert.equal(socket.state, "waiting");
  }
  const { socket, last } = scripted({ finalCloseCodes: [4401] });
  last().opens().ends(1008);
  assert.equal(socket.state, "waiting");
});

test("does not wait for a handshake for ever", () => {
  const { sockets, clock, of } = scripted({ connectTimeout: 3000 });
  clock.advance(2999);
  assert.equal(of("onclose").length, 0);
  clock.advance(1);
  assert.match(of("onerror")[0].message, /no connection in 3000 ms/);
  assert.notEqual(sockets[0].closed, undefined);
  sockets[0].opens(); // too late
  assert.deepEqual(of("onopen"), []);
});

test("closes while it connects: nothing is told of that socket any more", async () => {
  const { socket, sockets, clock, of } = scripted();
  const closed = socket.close();
  assert.equal(socket.state, "closed");
  sockets[0].opens();
  sockets[0].receives("late");
  sockets[0].fails("late");
  assert.deepEqual([of("onopen"), of("onmessage"), of("onerror")], [[], [], []]);
  assert.equal((await closed).final, true);
  assert.equal(of("onclose").length, 1);
  assert.equal(clock.timers, 0);
});

test("closes while it waits for the next try", () => {
  const { socket, sockets, last, clock } = scripted();
  last().ends();
  void socket.close();
  clock.advance(100_000);
  assert.equal(sockets.length, 1);
  assert.equal(clock.timers, 0);
});

test("ends when the other side does not answer its Close", async () => {
  const { socket, last, clock } = scripted({ closeTimeout: 700 });
  last().opens();
  const closed = socket.close(4000, "bye");
  assert.equal(socket.state, "closing");
  assert.deepEqual(last().closed, [4000, "bye"]);
  clock.advance(700);
  assert.deepEqual(await closed, { code: 1006, reason: "", wasClean: false, final: true, retryIn: undefined });
  assert.equal(clock.timers, 0);
});

test("closes once, however often it is asked, and with the code of the other side", async () => {
  const { socket, last, of } = scripted();
  last().opens();
  const both = [socket.close(), socket.close(1000)];
  last().ends(1000, "ok");
  assert.deepEqual((await Promise.all(both)).map(({ code }) => code), [1000, 1000]);
  assert.equal(of("onclose").length, 1);
});

test("names close codes and reasons that nobody may send", () => {
  const { socket } = scripted();
  for (const code of [999, 1001, 1006, 2999, 5000, 3000.5, "1000", null]) {
    assert.throws(() => socket.close(code), /a close code must be 1000 or one from 3000 to 4999/);
  }
  assert.throws(() => socket.close(undefined, "why"), /a close reason needs a close code/);
  assert.throws(() => socket.close(1000, "ä".repeat(62)), /at most 123 octets/);
  assert.equal(socket.state, "connecting");
});

test("keeps messages in their order until there is a connection, behind those of onopen", () => {
  const { socket, last } = scripted({ onopen: () => socket.send("token") });
  socket.send("one");
  socket.send("two");
  assert.equal(socket.queuedMessages, 2);
  assert.equal(socket.bufferedBytes, 6);
  last().opens();
  assert.deepEqual(last().sent, ["token", "one", "two"]);
  assert.equal(socket.bufferedBytes, 0);
});

test("sends what octets were when they were given to it, whatever becomes of them while they wait", () => {
  const { socket, last } = scripted();
  const shared = new SharedArrayBuffer(2);
  const around = new Uint8Array([9, 1, 2, 9]);
  const given = [
    new Uint8Array([1, 2]),
    around.subarray(1, 3),
    new DataView(around.buffer, 1, 2),
    Buffer.from([1, 2]),
    new Uint8Array([1, 2]).buffer,
    new Uint8Array(shared),
    shared,
  ];
  new Uint8Array(shared).set([1, 2]);
  for (const data of given) socket.send(data);
  for (const data of given) new Uint8Array(data.buffer ?? data).fill(7);
  assert.equal(socket.bufferedBytes, 14);
  last().opens();
  assert.deepEqual(last().sent.map((data) => [...data]), Array(7).fill([1, 2]));
  const at = new Uint8Array([3]);
  socket.send(at);
  assert.equal(last().sent.at(-1), at); // the socket itself sees to what it sends at once
});

test("refuses what is more than may wait, by number and by octets", () => {
  const { socket } = scripted({ maxQueuedMessages: 2, maxBufferedBytes: 10 });
  socket.send("äää"); // six
  assert.throws(() => socket.send("12345"), {
    name: "QueueFullError",
    message: "6 octets wait already, and 5 more are too much: maxBufferedBytes is 10",
  });
  socket.send(new Uint8Array(4));
  assert.throws(() => socket.send(""), /2 messages wait already; that is maxQueuedMessages/);
  assert.equal(socket.queuedMessages, 2);
});

test("refuses what is more than may wait for the network", () => {
  const { socket, last } = scripted({ maxBufferedBytes: 100 });
  last().opens().bufferedAmount = 95;
  assert.throws(() => socket.send("ä".repeat(3)), QueueFullError);
  socket.send("12345");
  assert.deepEqual(last().sent, ["12345"]);
});

test("keeps what is sent to a socket that has got a Close, for the next one", () => {
  const { socket, last, clock } = scripted();
  last().opens().readyState = 2; // a browser drops what it is given now
  socket.send("kept");
  assert.deepEqual(last().sent, []);
  last().ends(1001);
  clock.advance(1000);
  last().opens();
  assert.deepEqual(last().sent, ["kept"]);
});

test("refuses to send what is no message", () => {
  const { socket } = scripted();
  for (const data of [undefined, null, 5, {}, []]) {
    assert.throws(() => socket.send(data), /what is sent must be a text, an ArrayBuffer or a view of one/);
  }
});

test("reconnects at once, and hears nothing of the socket before", () => {
  const { socket, sockets, clock, of } = scripted();
  sockets[0].opens();
  socket.reconnect();
  assert.equal(sockets.length, 2);
  assert.deepEqual(sockets[0].closed, []);
  sockets[0].receives("late");
  sockets[0].ends(1000);
  sockets[1].opens();
  assert.equal(socket.state, "open");
  assert.deepEqual(of("onmessage"), []);
  assert.deepEqual(of("onclose"), [{ code: 1006, reason: "", wasClean: false, final: false, retryIn: 0 }]);
  assert.equal(clock.timers, 1);
});

test("asks a function for the address of each connection", async () => {
  const answers = [() => "ws://one/", () => Promise.resolve("ws://two/"), () => Promise.reject(new Error("no token"))];
  const { sockets, clock, of } = scripted({}, { uri: () => answers.shift()() });
  assert.deepEqual(sockets[0].given, ["ws://one/"]);
  sockets[0].ends();
  clock.advance(1000);
  await Promise.resolve();
  assert.deepEqual(sockets[1].given, ["ws://two/"]);
  sockets[1].ends();
  clock.advance(2000);
  await new Promise((done) => setImmediate(done));
  assert.match(of("onerror").at(-1).message, /no token/);
  assert.equal(of("onclose").at(-1).retryIn, 4000);
});

test("takes an address that comes after it was closed for nothing", async () => {
  let give;
  const { socket, sockets } = scripted({}, { uri: () => new Promise((resolve) => (give = resolve)) });
  void socket.close();
  give("ws://late/");
  await new Promise((done) => setImmediate(done));
  assert.equal(sockets.length, 0);
});

test("tries again when the constructor of the socket throws, and tells so when there is somebody to tell", async () => {
  class Throws {
    constructor() {
      throw new Error("insecure");
    }
  }
  const errors = [];
  const clock = new FakeClock();
  const options = { WebSocket: Throws, onerror: (error) => errors.push(error) };
  const socket = new ReconnectingWebSocket(URI, options, clock);
  assert.equal(errors.length, 0);
  await Promise.resolve();
  assert.match(errors[0].message, /insecure/);
  assert.equal(socket.state, "waiting");
});

test("opens no other socket when it is closed by any of its callbacks", () => {
  for (const name of ["onopen", "onerror", "onclose", "onstatechange", "onmessage"]) {
    const { socket, sockets, last, clock } = scripted({ [name]: () => void socket.close() });
    last().opens().receives("m");
    last().fails("broke");
    clock.advance(6000); // also that of a Close
    assert.equal(socket.state, "closed", name);
    assert.equal(sockets.length, 1, name);
    assert.equal(clock.timers, 0, name);
  }
});

test("makes one other socket when any of its callbacks reconnects", () => {
  for (const name of ["onopen", "onerror", "onclose", "onmessage"]) {
    let asked = false;
    const again = () => {
      if (!asked) socket.reconnect();
      asked = true;
    };
    const { socket, sockets, last, clock } = scripted({ [name]: again });
    sockets[0].opens().receives("m");
    sockets[0].fails("broke");
    assert.equal(sockets.length, 2, name);
    last().opens();
    clock.advance(100_000);
    assert.equal(sockets.length, 2, name);
    assert.equal(socket.state, "open", name);
  }
});

/** One that does something in the callback `name`, the first time; in onstatechange, the first time that it waits. */
function asking(name, ask) {
  let asked = false;
  const run = (state) => {
    if (asked || (name === "onstatechange" && state !== "waiting")) return;
    asked = true;
    ask(all.socket);
  };
  const all = scripted({ [name]: run });
  return all;
}

const ends = ({ of }) => of("onclose").map(({ final, retryIn }) => (final ? "final" : retryIn));

test("makes one other socket when onclose asks for it that another such wish has called", () => {
  const { socket, sockets, last, clock, of } = asking("onclose", () => socket.reconnect());
  last().opens();
  socket.reconnect();
  assert.equal(sockets.length, 2);
  assert.deepEqual(ends({ of }), [0]);
  last().opens();
  assert.equal(socket.state, "open");
  assert.equal(clock.timers, 1); // until it is stable
});

test("may be asked by each onclose to connect at once, or after a while", () => {
  const at = scripted({ onclose: () => at.socket.reconnect() });
  at.last().opens();
  at.socket.reconnect();
  assert.equal(at.sockets.length, 2);
  at.last().opens().ends();
  assert.equal(at.sockets.length, 3);
  at.last().ends();
  assert.equal(at.sockets.length, 4);
  const after = scripted({ onclose: () => after.socket.drop(5000) });
  after.last().opens().ends();
  assert.equal(after.socket.state, "waiting");
  assert.deepEqual([after.clock.timers, after.clock.next], [1, 5000]);
  assert.equal(after.of("onclose").length, 1);
});

test("stays away for as long as onclose says, whatever has called it", () => {
  const lose = [({ socket }) => socket.reconnect(), ({ socket }) => socket.drop(1), ({ last }) => last().ends(1001)];
  for (const [n, loses] of lose.entries()) {
    for (const name of ["onclose", "onstatechange"]) {
      const all = asking(name, (socket) => socket.drop(5000));
      all.last().opens();
      loses(all);
      if (n === 0 && name === "onstatechange") continue; // it does not wait
      assert.equal(all.socket.state, "waiting", name);
      assert.deepEqual([all.sockets.length, all.clock.timers, all.clock.next], [1, 1, 5000], name);
    }
  }
});

test("tells each end once, and nothing after the last, when a change of state closes or reconnects", async () => {
  const closed = asking("onstatechange", (socket) => void socket.close());
  closed.last().opens().ends();
  assert.deepEqual(ends(closed), ["final"]);
  assert.equal(closed.socket.state, "closed");
  assert.equal((await closed.socket.close()).final, true);
  assert.equal(closed.clock.timers, 0);
  const again = asking("onstatechange", (socket) => socket.reconnect());
  again.last().opens().ends();
  assert.deepEqual(ends(again), [0]);
  assert.deepEqual([again.sockets.length, again.socket.state], [2, "connecting"]);
  again.last().ends();
  assert.deepEqual(ends(again), [0, 2000]);
  const away = asking("onstatechange", (socket) => socket.drop(5000));
  away.last().opens().ends();
  assert.deepEqual(ends(away), [5000]);
});

test("is not open any more when it tells that it reconnects", () => {
  const states = [];
  const { socket, last } = scripted({ onclose: () => states.push(socket.state, socket.writable) });
  last().opens();
  socket.reconnect();
  assert.deepEqual(states, ["connecting", false]);
});

test("makes no socket for an address when it is closed or reconnects while it asks for it", async () => {
  for (const [ask, count, state] of [
    [(socket) => void socket.close(), 0, "closed"],
    [(socket) => socket.drop(5000), 0, "waiting"],
    [(socket) => socket.reconnect(), 1, "connecting"],
  ]) {
    const no = new Error("no address");
    for (const answer of [() => URI, async () => URI, () => assert.fail(no), () => Promise.reject(no)]) {
      let asked = 0;
      const uri = () => {
        asked += 1;
        if (asked === 1) return Promise.reject(new Error("not yet"));
        if (asked > 2) return URI;
        ask(socket);
        return answer();
      };
      const { socket, sockets, clock } = scripted({}, { uri });
      await new Promise((done) => setImmediate(done));
      clock.advance(1000);
      await new Promise((done) => setImmediate(done));
      assert.deepEqual([sockets.length, socket.state], [count, state]);
      assert.equal(clock.timers, state === "closed" ? 0 : 1);
    }
  }
});

test("closes once with a socket that tells so while it is being closed", async () => {
  const { socket, last, clock, of } = scripted();
  const { close } = last().opens();
  last().close = function (...given) {
    close.apply(this, given);
    this.ends(1000);
  };
  assert.equal((await socket.close()).code, 1000);
  assert.equal(of("onclose").length, 1);
  assert.equal(clock.timers, 0);
});

test("goes on when callbacks throw, and hides nothing", async () => {
  const thrown = await thrownLater(() => {
    const fail = () => {
      throw new Error("of a callback");
    };
    const { socket, sockets, last, clock } = scripted({ onopen: fail, onmessage: fail, onclose: fail, onerror: fail });
    last().opens().receives("m");
    last().fails("broke");
    clock.advance(1000);
    assert.equal(sockets.length, 2);
    assert.equal(socket.state, "connecting");
  });
  assert.deepEqual(thrown.map(({ message }) => message), Array(4).fill("of a callback"));
});

test("does not wait any longer when the browser is online again", (t) => {
  const listeners = new Map();
  globalThis.addEventListener = (type, listener) => listeners.set(type, listener);
  globalThis.removeEventListener = (type, listener) => listeners.get(type) === listener && listeners.delete(type);
  t.after(() => {
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
  });
  const { socket, sockets, last } = scripted();
  last().opens();
  listeners.get("online")();
  assert.equal(sockets.length, 1); // it has a connection
  last().ends();
  listeners.get("online")();
  assert.equal(sockets.length, 2);
  void socket.close();
  assert.equal(listeners.size, 0);
});

test("talks to a real server, loses it and finds it again", async (t) => {
  const server = await ScriptedServer.start();
  const messages = [];
  let heard;
  let lost;
  const isLost = new Promise((resolve) => (lost = resolve));
  const socket = new ReconnectingWebSocket(server.uri, {
    WebSocket,
    reconnection: { minDelay: 1, maxDelay: 20 },
    onclose: () => lost(),
    onmessage: (data) => {
      messages.push(data);
      heard?.();
    },
  });
  t.after(() => socket.close());
  socket.send(new Uint8Array([1, 2]));
  const first = await server.peer();
  assert.deepEqual([...(await first.text())], [1, 2]);
  const came = new Promise((resolve) => (heard = resolve));
  first.socket.send(Buffer.from([3]));
  await within(came, "message");
  assert.deepEqual([...new Uint8Array(messages[0])], [3]);
  const { port } = server;
  await server.stop();
  await within(isLost, "loss");
  socket.send("when you are back");
  await server.listen(port);
  t.after(() => server.stop());
  const second = await server.peer();
  assert.equal(await second.text(), "when you are back");
  const ended = await socket.close(4001, "done");
  assert.deepEqual([ended.code, ended.reason], [4001, "done"]);
  assert.deepEqual(await second.closed, { code: 4001, reason: "done" });
});

test("closes npm's ws while it connects without an error that nobody catches", async () => {
  const server = await ScriptedServer.start();
  const socket = new ReconnectingWebSocket(server.uri, { WebSocket });
  await socket.close();
  await server.stop();
});
