// SPDX-License-Identifier: Apache-2.0

import { once } from "node:events";
import { WebSocket, WebSocketServer } from "ws";

export { WebSocket };

/** What a promise is waited for, so that a test that would hang says what for. */
export async function within(promise, what, milliseconds = 30_000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} in ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Values in the order in which they come, to be awaited one by one. */
export class Queue {
  #values = [];
  #waiting = [];

  push(value) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(value);
    else this.#values.push(value);
  }

  get length() {
    return this.#values.length;
  }

  next(what = "value") {
    if (this.#values.length > 0) return Promise.resolve(this.#values.shift());
    return within(new Promise((resolve) => this.#waiting.push(resolve)), what);
  }
}

/** A client, as the server sees it. */
class Peer {
  #texts = new Queue();
  /** Resolves with the code and the reason of its Close: 1005 for an empty one, 1006 for none. */
  closed;

  constructor(socket) {
    this.socket = socket;
    socket.on("message", (data, isBinary) => this.#texts.push(isBinary ? data : data.toString()));
    socket.on("error", () => {});
    this.closed = within(once(socket, "close"), "end of a connection").then(([code, reason]) => ({
      code,
      reason: reason.toString(),
    }));
    this.closed.catch(() => {}); // of tests that do not ask
  }

  /** The next text, as it came. */
  text() {
    return this.#texts.next("message of the client");
  }

  async message() {
    return JSON.parse(await this.text());
  }

  get unread() {
    return this.#texts.length;
  }

  send(message) {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  result(id, result) {
    this.send({ id, result, jsonrpc: "2.0" });
  }

  error(id, error) {
    this.send({ id, error, jsonrpc: "2.0" });
  }

  /** A ping that is answered: all that was sent before has been taken in. */
  async settled() {
    const answered = once(this.socket, "pong");
    this.socket.ping();
    await within(answered, "pong");
  }
}

/** A server that does what a test says. */
export class ScriptedServer {
  #server;
  #peers = new Queue();
  #listening;

  static async start(options = {}) {
    const server = new ScriptedServer();
    await server.listen(0, options);
    return server;
  }

  async listen(port, options = {}) {
    this.#server = new WebSocketServer({ host: "127.0.0.1", port, ...options });
    this.#server.on("connection", (socket) => this.#peers.push(new Peer(socket)));
    this.#listening = once(this.#server, "listening");
    await this.#listening;
    this.port = this.#server.address().port;
    this.uri = `ws://127.0.0.1:${this.port}/jsonrpc`;
  }

  /** The next client. */
  peer() {
    return this.#peers.next("connection");
  }

  get clients() {
    return this.#server.clients.size;
  }

  /** Vanishes: no Close, nobody listens. */
  async stop() {
    for (const client of this.#server.clients) client.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
