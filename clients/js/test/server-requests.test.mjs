// SPDX-License-Identifier: Apache-2.0
// Requests and notifications of the server.

import assert from "node:assert/strict";
import { test } from "node:test";
import { JsonRpcError } from "mod-websocket-jsonrpc";
import { thrownLater } from "./clock.mjs";
import { connected } from "./scripted-client.mjs";
import { Queue } from "./server.mjs";

const call = (id, method, params) => ({ id, method, params, jsonrpc: "2.0" });

test("answers with what a method returns, promises, or gives to the functions of the request", async (t) => {
  const rpc = {
    value: ({ a }) => a + 1,
    none: async () => {},
    promised: async ([a]) => a * 2,
    success: (_, request) => request.success({ ok: true }),
    reply: (_, request) => request.reply(null, "replied"),
    refuse: (_, request) => request.reply({ code: 5, message: "five", data: [1] }),
    error: (_, request) => request.error({ code: 6, message: "six" }),
    later: (_, request) => void setImmediate(() => request.success("later")),
  };
  const { peer } = await connected(t, { rpc });
  const expected = [
    ["value", { a: 1 }, { result: 2 }],
    ["none", {}, { result: null }],
    ["promised", [4], { result: 8 }],
    ["success", undefined, { result: { ok: true } }],
    ["reply", {}, { result: "replied" }],
    ["refuse", {}, { error: { code: 5, message: "five", data: [1] } }],
    ["error", {}, { error: { code: 6, message: "six" } }],
    ["later", {}, { result: "later" }],
  ];
  for (const [id, [method, params, answer]] of expected.entries()) {
    peer.send(call(id, method, params));
    assert.deepEqual(await peer.message(), { jsonrpc: "2.0", ...answer, id }, method);
  }
});

test("answers with null where a result cannot be said in JSON, never with an answer that has none", async (t) => {
  const rpc = {
    function: () => () => "unsubscribe",
    symbol: () => Symbol("s"),
    promised: async () => () => {},
    emptied: () => ({ toJSON: () => undefined }),
    success: (_, request) => request.success(() => {}),
    inside: () => [() => {}, { left: "here", out: () => {} }],
    date: () => new Date(0),
  };
  const { client, peer } = await connected(t, { rpc });
  const own = client.send("slow"); // has the id 0, too
  await peer.text();
  for (const method of ["function", "symbol", "promised", "emptied", "success"]) {
    peer.send(call(0, method));
    assert.equal(await peer.text(), '{"jsonrpc":"2.0","result":null,"id":0}', method);
  }
  peer.send(call("inside", "inside"));
  assert.deepEqual((await peer.message()).result, [null, { left: "here" }]);
  peer.send(call("date", "date"));
  assert.equal((await peer.message()).result, "1970-01-01T00:00:00.000Z");
  peer.result(0, "at last");
  assert.equal(await own, "at last");
});

test("answers with an error that has a code and a message, whatever JSON would make of the object", async (t) => {
  class Refusal {
    get code() {
      return 8;
    }
    get message() {
      return "eight";
    }
  }
  const loop = {};
  loop.loop = loop;
  const rpc = {
    getters: (_, request) => request.error(new Refusal()),
    emptied: (_, request) => request.error({ code: 9, message: "nine", toJSON: () => undefined }),
    data: (_, request) => request.error({ code: 10, message: "ten", data: () => {} }),
    typed: (_, request) => request.reply({ code: 11, message: "eleven", data: null, type: "T" }),
    circular: () => {
      throw new JsonRpcError(12, "twelve", loop);
    },
    rejected: () => Promise.reject(new JsonRpcError(13, "thirteen", loop)),
  };
  const errors = new Queue();
  const { peer } = await connected(t, { rpc, ws: { onerror: (error) => errors.push(error.message) } });
  const expected = [
    ["getters", { code: 8, message: "eight" }],
    ["emptied", { code: 9, message: "nine" }],
    ["data", { code: 10, message: "ten" }],
    ["typed", { code: 11, message: "eleven", data: null, type: "T" }],
  ];
  for (const [id, [method, error]] of expected.entries()) {
    peer.send(call(id, method));
    assert.deepEqual(await peer.message(), { jsonrpc: "2.0", error, id }, method);
  }
  for (const method of ["circular", "rejected"]) {
    peer.send(call(99, method));
    const { error } = await peer.message();
    assert.equal(error.code, -32603);
    assert.match(error.message, /the error cannot be written as JSON/);
    assert.match(await errors.next(), /the error cannot be written as JSON/);
  }
});

test("answers with ids as they came: numbers, texts and null", async (t) => {
  const { peer } = await connected(t);
  for (const id of [1, 1.5, -3, "a", "", null]) {
    peer.send(call(id, "pull"));
    assert.deepEqual(await peer.message(), { jsonrpc: "2.0", result: "push", id });
  }
});

test("answers with an error what a method throws, and tells of it unless it was meant", async (t) => {
  const errors = new Queue();
  const rpc = {
    meant: () => {
      throw new JsonRpcError(123, "meant", { more: 1 });
    },
    thrown: () => {
      throw new TypeError("thrown");
    },
    rejected: () => Promise.reject(new Error("rejected")),
    text: () => {
      throw "a text";
    },
    circular: () => {
      const loop = [];
      loop.push(loop);
      return loop;
    },
    noError: (_, request) => request.error({ code: "x" }),
  };
  const { peer } = await connected(t, { rpc, ws: { onerror: (error) => errors.push(error.message) } });
  peer.send(call(0, "meant"));
  assert.deepEqual((await peer.message()).error, { code: 123, message: "meant", data: { more: 1 } });
  const expected = [
    ["thrown", /^thrown$/],
    ["rejected", /^rejected$/],
    ["text", /a text/],
    ["circular", /the result cannot be written as JSON/],
    ["noError", /an error must be an Error, or an object with an integer "code"/],
  ];
  for (const [id, [method, message]] of expected.entries()) {
    peer.send(call(id + 1, method));
    const { error } = await peer.message();
    assert.equal(error.code, -32603);
    assert.match(error.message, message);
    assert.match(await errors.next(), message);
  }
  assert.equal(errors.length, 0);
});

test("throws what a method throws for all to see if there is no onerror", async (t) => {
  const fail = () => {
    throw new Error("of a method");
  };
  const { client, peer, happened } = await connected(t, {});
  client.register("fail", fail);
  peer.send({ jsonrpc: "2.0", method: "fail" });
  assert.equal((await happened("onerror")).message, "of a method"); // this one has an onerror
  const { JsonRpcClient } = await import("mod-websocket-jsonrpc");
  const { ScriptedServer, WebSocket } = await import("./server.mjs");
  const server = await ScriptedServer.start();
  const bare = new JsonRpcClient({ session: false, ws: { uri: server.uri, WebSocket }, rpc: { fail } });
  const thrown = await thrownLater(async () => {
    const other = await server.peer();
    other.send(call(1, "fail"));
    assert.equal((await other.message()).error.message, "of a method");
    other.send("garbage"); // that is not for all to see
    await other.settled();
  });
  assert.deepEqual(thrown.map(({ message }) => message), ["of a method"]);
  await bare.close();
  await server.stop();
});

test("refuses a second answer", async (t) => {
  const kept = new Queue();
  const rpc = {
    twice: (_, request) => {
      request.success(1);
      request.success(2);
    },
    both: async (_, request) => {
      request.success(1);
      return 2;
    },
    kept: (_, request) => void kept.push(request),
  };
  const errors = new Queue();
  const { peer } = await connected(t, { rpc, ws: { onerror: (error) => errors.push(error) } });
  for (const [id, method] of ["twice", "both"].entries()) {
    peer.send(call(id, method));
    assert.deepEqual(await peer.message(), { jsonrpc: "2.0", result: 1, id });
    const error = await errors.next();
    assert.equal(error.name, "AlreadyAnsweredError");
    assert.match(error.message, new RegExp(`the request "${method}" has been answered already`));
  }
  peer.send(call(9, "kept"));
  const request = await kept.next();
  request.reply(null, "x");
  for (const again of [() => request.success(), () => request.error({ code: 1, message: "m" }), () => request.reply()]) {
    assert.throws(again, { name: "AlreadyAnsweredError" });
  }
  await peer.text();
  await peer.settled();
  assert.equal(peer.unread, 0);
});

test("carries out a request once that comes twice, and answers it twice", async (t) => {
  let calls = 0;
  const { peer, clock } = await connected(t, { rpc: { count: () => ++calls } });
  for (let n = 0; n < 3; n++) {
    peer.send(call(1, "count"));
    assert.equal((await peer.message()).result, 1);
  }
  peer.send(call(1, "count", { other: true })); // the same id, but not the same request
  assert.equal((await peer.message()).result, 2);
  clock.advance(10_000);
  peer.send(call(1, "count"));
  assert.equal((await peer.message()).result, 3);
});

test("answers a request once that comes twice before its answer is there", async (t) => {
  const requests = new Queue();
  const { peer } = await connected(t, { rpc: { slow: (_, request) => void requests.push(request) } });
  peer.send(call(1, "slow"));
  peer.send(call(1, "slow"));
  await peer.settled();
  assert.equal(requests.length, 1);
  (await requests.next()).success("done");
  assert.equal((await peer.message()).result, "done");
  await peer.settled();
  assert.equal(peer.unread, 0);
});

test("carries out a request once that comes again, however long its answer takes", async (t) => {
  const requests = new Queue();
  const rpc = { slow: (_, request) => void requests.push(request), quick: () => "x".repeat(10_000) };
  const { peer, clock } = await connected(t, { rpc });
  peer.send(call("slow", "slow"));
  for (let id = 0; id < 300; id++) {
    peer.send(call(id, "quick"));
    await peer.text();
    clock.advance(1000);
  }
  peer.send(call("slow", "slow"));
  await peer.settled();
  assert.equal(requests.length, 1);
  (await requests.next()).success("done");
  assert.equal((await peer.message()).result, "done");
  clock.advance(4999); // its answer is as young as any
  peer.send(call("slow", "slow"));
  assert.equal((await peer.message()).result, "done");
  assert.equal(requests.length, 0);
  clock.advance(10_000);
  assert.equal(clock.timers, 0);
});

test("keeps only so many requests that nobody answers", async (t) => {
  const requests = new Queue();
  const { peer } = await connected(t, { rpc: { never: (_, request) => void requests.push(request) } });
  for (let id = 0; id <= 1000; id++) peer.send(call(id, "never"));
  for (const id of [1000, 1, 0]) peer.send(call(id, "never")); // the first is the one that is forgotten
  await peer.settled();
  assert.equal(requests.length, 1002);
  const first = await requests.next();
  first.success("late");
  assert.equal((await peer.message()).result, "late");
});

test("keeps only so many answers for requests that come twice", async (t) => {
  const { client, peer, clock } = await connected(t);
  let calls = 0;
  client.register("big", () => `${++calls}`.padEnd(100_000));
  for (let id = 0; id < 40; id++) {
    peer.send(call(id, "big"));
    await peer.text();
  }
  peer.send(call(39, "big")); // one of the last, which is there
  await peer.text();
  assert.equal(calls, 40);
  peer.send(call(0, "big")); // the first, which is not
  await peer.text();
  assert.equal(calls, 41);
  clock.advance(10_000);
  assert.equal(clock.timers, 0);
});

test("answers notifications with nothing, whatever their methods do", async (t) => {
  const errors = new Queue();
  const seen = new Queue();
  const rpc = {
    value: (params) => {
      seen.push(params);
      return 5;
    },
    reply: (params, request) => {
      request.reply(null, 1);
      request.success(2);
      request.error({ code: 1, message: "m" });
      seen.push(request.id);
    },
    thrown: () => {
      throw new Error("thrown");
    },
    rejected: () => Promise.reject(new Error("rejected")),
  };
  const { peer } = await connected(t, { rpc, ws: { onerror: (error) => errors.push(error.message) } });
  for (const method of ["value", "reply", "thrown", "rejected", "unknown"]) peer.send({ jsonrpc: "2.0", method });
  assert.deepEqual(await seen.next(), {});
  assert.equal(await seen.next(), undefined);
  assert.equal(await errors.next(), "thrown");
  assert.equal(await errors.next(), "rejected");
  await peer.settled();
  assert.equal(peer.unread, 0);
});

test("takes methods in and out while it runs", async (t) => {
  const { client, peer } = await connected(t, {});
  client.register("m", () => 1);
  peer.send(call(1, "m"));
  assert.equal((await peer.message()).result, 1);
  assert.equal(client.unregister("m"), true);
  assert.equal(client.unregister("m"), false);
  peer.send(call(2, "m"));
  assert.equal((await peer.message()).error.code, -32601);
});

/** A request that is answered after the connection by which it came was lost. */
async function answeredLater(t, session, answerConnect) {
  const requests = new Queue();
  const all = await connected(t, { session, rpc: { slow: (_, request) => void requests.push(request) } });
  all.peer.send(call(1, "slow"));
  const request = await requests.next();
  all.peer.socket.terminate();
  await all.happened("onreconnecting");
  all.clock.advance(1000);
  const next = await all.server.peer();
  request.success("answer");
  if (session) await answerConnect(next, (await next.message()).id);
  await all.happened("onreconnected");
  all.client.notify("end");
  return next;
}

test("answers over the next connection if the session is the same", async (t) => {
  const next = await answeredLater(t, true, (peer, id) => peer.result(id, { sessionId: "S" }));
  assert.deepEqual(await next.message(), { jsonrpc: "2.0", result: "answer", id: 1 });
});

test("does not give an answer to a session that has not asked, where ids begin again", async (t) => {
  const lost = await answeredLater(t, true, async (peer, id) => {
    peer.error(id, { code: 40007, message: "reconnection error" });
    peer.result((await peer.message()).id, { sessionId: "S2" });
  });
  assert.equal((await lost.message()).method, "end");
  const none = await answeredLater(t, false);
  assert.equal((await none.message()).method, "end");
});
