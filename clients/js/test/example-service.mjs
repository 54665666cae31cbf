// SPDX-License-Identifier: Apache-2.0
// What the example service of mod_websocket does, as far as README.md needs it, and an echo at /echo.

import { randomUUID } from "node:crypto";
import { WebSocketServer } from "ws";

class Session {
  id = randomUUID();
  attributes = new Map();
  topics = new Set();
  asked = new Map();
  lastId = 0;
}

const sessions = new Map();

const methods = {
  echo: (params) => params,
  sum(numbers) {
    if (!numbers.every((number) => typeof number === "number")) throw { code: -32602, message: "Invalid params" };
    return numbers.reduce((a, b) => a + b, 0);
  },
  remember: ({ name, value }, session) => void session.attributes.set(name, value),
  recall: ({ name }, session) => session.attributes.get(name),
  subscribe: ({ topic }, session) => void session.topics.add(topic),
  publish({ topic, data }) {
    for (const { topics, socket } of sessions.values()) {
      if (topics.has(topic)) write(socket, { method: "event", params: { topic, data } });
    }
  },
  count: ({ to, interval }) => new Promise((resolve) => setTimeout(resolve, to * interval).unref()),
  ask({ method, params }, session) {
    const id = ++session.lastId;
    write(session.socket, { id, method, params });
    return new Promise((resolve, reject) => session.asked.set(id, { resolve, reject }));
  },
};

const write = (socket, message) => socket.send(JSON.stringify({ jsonrpc: "2.0", ...message }));

function connect(params, socket) {
  const known = sessions.get(params?.sessionId);
  if (params?.sessionId !== undefined && !known) throw { code: 40007, message: "reconnection error" };
  const session = known ?? new Session();
  sessions.set(session.id, session);
  session.socket = socket;
  socket.session = session;
  return { value: known ? "reconnection successful" : "OK", sessionId: session.id };
}

async function take(socket, { id, method, params, result, error }) {
  if (method === undefined) {
    const asked = socket.session.asked.get(id);
    if (error) asked.reject(error);
    else asked.resolve(result);
    return;
  }
  try {
    const answer = await (method === "connect" ? connect(params, socket) : methods[method](params, socket.session));
    if (id !== undefined) write(socket, { id, result: answer ?? null });
  } catch (why) {
    if (id !== undefined) write(socket, { id, error: why });
  }
}

/** @returns the server, which listens at a free port */
export function exampleService() {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  server.on("connection", (socket, { url }) => {
    socket.on("message", (data) => {
      if (url === "/echo") socket.send(data.toString());
      else void take(socket, JSON.parse(data));
    });
  });
  return server;
}
