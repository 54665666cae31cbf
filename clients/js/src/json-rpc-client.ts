// SPDX-License-Identifier: Apache-2.0

import { checkCount, checkObject, checkTime } from "./checks.js";
import { type Clock, systemClock } from "./clock.js";
import { type Checked, checkConfiguration, type Configuration } from "./configuration.js";
import {
  ClosedError,
  ConnectionError,
  ErrorCode,
  JsonRpcError,
  ProtocolError,
  QueueFullError,
  RequestTimeoutError,
  rethrowLater,
} from "./errors.js";
import { Heartbeat } from "./heartbeat.js";
import { IncomingRequests, type RequestHandler } from "./incoming.js";
import { type Message, parse, requestText } from "./messages.js";
import { Outbox, type Waiting } from "./outbox.js";
import { type Pending, PendingRequests } from "./pending.js";
import { checkClose, type CloseInfo, network, ReconnectingWebSocket } from "./reconnecting-websocket.js";
import { type Address, sockJSClass } from "./socket.js";

/**
 * - connecting: there has been no connection yet
 * - connected: and the session is there
 * - reconnecting: lost; the next one is tried
 * - disconnected: for good
 */
export type ClientState = "connecting" | "connected" | "reconnecting" | "disconnected";

export interface SendOptions {
  /** Milliseconds that the answer may take, instead of rpc.requestTimeout. */
  timeout?: number | undefined;
  /**
   * How many times the request is sent again if the connection is lost before the answer (0). Only for what may be
   * carried out twice: the answer may be what was lost.
   */
  retries?: number | undefined;
}

/** As of kurento-jsonrpc: one of both. An error of the server is a JsonRpcError. */
export type Callback<Result = any> = (error: Error | null, result?: Result) => void;

/** A message larger than the server takes would end the next connection, too. */
const messageTooBig = 1009;

/** Calls methods of a server, and is called by it, over a WebSocket that comes back when it is lost. */
export class JsonRpcClient {
  readonly #configuration: Checked;
  readonly #pending: PendingRequests;
  readonly #outbox: Outbox;
  readonly #incoming: IncomingRequests;
  readonly #heartbeat: Heartbeat | undefined;
  readonly #ws: ReconnectingWebSocket;

  #state: ClientState = "connecting";
  #ready = false; // messages may leave
  #closing: Promise<CloseInfo> | undefined;
  #nextId = 0;
  #sessionId: string | undefined;
  #connection = 0; // number of the newest
  #sessionSince = 0; // number of the first connection of the session; answers to requests of older ones are dropped
  #lastUri: Address | undefined;

  /** Connects at once. @throws ConfigurationError that names what is not allowed */
  constructor(configuration: Configuration);
  /** @internal */
  constructor(configuration: Configuration, clock: Clock);
  constructor(configuration: Configuration, clock: Clock = systemClock) {
    const checked = checkConfiguration(configuration);
    const { ws, heartbeat, methods } = checked;
    this.#configuration = checked;
    this.#pending = new PendingRequests(clock);
    this.#outbox = new Outbox(checked.maxQueuedMessages, checked.maxBufferedBytes);
    this.#incoming = new IncomingRequests(
      (text, connection) => this.#answer(text, connection),
      (error) => this.#threw(error),
      clock,
    );
    this.#incoming.register("pull", () => "push"); // of kurento-jsonrpc
    for (const [method, handler] of methods) this.#incoming.register(method, handler);
    if (heartbeat !== undefined) {
      const ping = (params: object | undefined, dead: (error: Error) => void) =>
        this.#call("ping", params, checked.heartbeatRequestTimeout, {
          resolve: () => {},
          // An error of the server, too, is a sign of life, and a lost connection is seen to anyway.
          reject: (error) => error instanceof RequestTimeoutError && dead(error),
        });
      this.#heartbeat = new Heartbeat(heartbeat, ping, (error) => this.#hasNoPulse(error), clock);
      network.addEventListener?.("online", this.#online);
    }
    this.#ws = new ReconnectingWebSocket(
      ws.newWsUriOnReconnection === undefined ? checked.uri : () => this.#nextAddress(),
      {
        protocols: ws.protocols,
        WebSocket: checked.useSockJS ? sockJSClass("ws.SockJS", ws.SockJS) : ws.WebSocket,
        reconnection: ws.reconnection,
        connectTimeout: ws.connectTimeout,
        closeTimeout: checked.closeTimeout,
        finalCloseCodes: checked.finalCloseCodes,
        maxQueuedMessages: 0, // what waits does so here, for the session
        maxBufferedBytes: checked.maxBufferedBytes,
        onopen: () => this.#opened(),
        onmessage: (data) => this.#received(data),
        onclose: (info) => this.#lost(info),
        onerror: (error) => this.#failed(error),
      },
      clock,
      checked.useSockJS ? "http" : "ws",
    );
  }

  get state(): ClientState {
    return this.#state;
  }

  /** What the server calls the session; undefined while there is none. */
  get sessionId(): string | undefined {
    return this.#sessionId;
  }

  /** Requests that wait for an answer. */
  get pendingRequests(): number {
    return this.#pending.size;
  }

  /** Messages that wait for a connection. */
  get queuedMessages(): number {
    return this.#outbox.size;
  }

  /**
   * Calls a method of the server. While there is no connection, the request waits for one; its time runs.
   *
   * Without a callback a promise is returned. Rejected with, or calls back with: JsonRpcError, the error of the server;
   * RequestTimeoutError; ConnectionError, lost while it was under way; ClosedError; QueueFullError; ProtocolError, the
   * answer is none; ConfigurationError, an argument is not allowed.
   */
  send<Result = any>(method: string, params?: object | null, options?: SendOptions): Promise<Result>;
  send<Result = any>(method: string, params: object | null | undefined, callback: Callback<Result>): void;
  send<Result = any>(method: string, callback: Callback<Result>): void;
  send(
    method: string,
    params?: object | Callback | null,
    last: SendOptions | Callback = {},
  ): Promise<unknown> | undefined {
    const callback = typeof params === "function" ? (params as Callback) : last;
    const given = typeof params === "function" ? undefined : params;
    if (typeof callback !== "function") return this.#request(method, given, callback);
    const tell = (error: Error | null, result?: unknown) => this.#guard(() => callback(error, result));
    this.#request(method, given, {}).then(
      (result) => tell(null, result),
      (error: Error) => tell(error),
    );
    return undefined;
  }

  /**
   * Tells the server something that it does not answer. While there is no connection, it waits for one.
   * @throws ClosedError, QueueFullError, ConfigurationError
   */
  notify(method: string, params?: object | null): void {
    const text = requestText(method, params);
    this.#checkOpen();
    this.#post({ text });
  }

  /** Has the server call a function by this name; replaces what had it. */
  register(method: string, handler: RequestHandler): void {
    this.#incoming.register(method, handler);
  }

  /** @returns whether there was one */
  unregister(method: string): boolean {
    return this.#incoming.unregister(method);
  }

  /**
   * Ends for good: with sendCloseMessage, the server is told first. Requests without an answer are rejected with a
   * ClosedError.
   * @returns how the connection ended
   */
  close(code?: number, reason?: string): Promise<CloseInfo> {
    checkClose(code, reason);
    this.#closing ??= this.#close(code, reason);
    return this.#closing;
  }

  /** Makes another connection at once, and gives up the one that there is. @throws ClosedError */
  reconnect(): void {
    this.#checkOpen();
    this.#ws.reconnect();
  }

  /** For tests: loses the connection, and tries the next one after so many milliseconds. @throws ClosedError */
  forceClose(milliseconds?: number): void {
    this.#checkOpen();
    this.#ws.drop(milliseconds);
  }

  // --- connections and sessions ----------------------------------------------------------------------

  #nextAddress(): Address | PromiseLike<Address> {
    const ask = this.#configuration.ws.newWsUriOnReconnection;
    if (ask === undefined || this.#lastUri === undefined) return (this.#lastUri = this.#configuration.uri);
    const last = this.#lastUri;
    return new Promise((resolve, reject) => {
      ask((error, uri) => (error ? reject(error) : resolve((this.#lastUri = uri ?? last))));
    });
  }

  #opened(): void {
    this.#connection += 1;
    if (this.#configuration.session) this.#connect(this.#connection);
    else this.#isReady(false);
  }

  /** Asks for the session, or for a new one if the server does not know it any more. */
  #connect(connection: number): void {
    const known = this.#sessionId;
    const params = known === undefined ? undefined : { sessionId: known };
    this.#call("connect", params, this.#configuration.requestTimeout, {
      resolve: (result) => {
        const given = (result as { sessionId?: unknown } | null)?.sessionId;
        this.#sessionId = typeof given === "string" ? given : undefined;
        this.#isReady(known !== undefined && given === known);
      },
      reject: (error) => {
        if (connection === this.#connection && !this.#ended()) this.#hasNoSession(error, known);
      },
    });
  }

  #hasNoSession(error: Error, asked: string | undefined): void {
    const code = error instanceof JsonRpcError ? error.code : undefined;
    if (code === ErrorCode.methodNotFound) {
      this.#sessionId = undefined; // a server without sessions
      this.#isReady(false);
    } else if (code === ErrorCode.unknownSession && asked !== undefined) {
      this.#sessionId = undefined;
      this.#connect(this.#connection);
    } else {
      this.#failed(new ConnectionError(`the server gives no session: ${error.message}`, 1006, { cause: error }));
      if (!this.#ended()) this.#ws.drop();
    }
  }

  #isReady(sameSession: boolean): void {
    if (this.#ended()) return;
    const { onconnected, onreconnected } = this.#configuration.ws;
    const first = this.#state === "connecting";
    const connection = this.#connection;
    if (!sameSession) {
      this.#sessionSince = connection;
      this.#incoming.forget();
      this.#outbox.remove((waiting) => waiting.connection !== undefined && waiting.connection < connection);
    }
    this.#ready = true;
    this.#state = "connected";
    this.#heartbeat?.start();
    const sessionId = this.#sessionId;
    this.#guard(() => (first ? onconnected?.({ sessionId }) : onreconnected?.({ sessionId, sameSession })));
    this.#flush();
  }

  #lost(info: CloseInfo): void {
    const wasConnecting = this.#state === "connecting";
    const wasConnected = this.#state === "connected";
    this.#ready = false;
    this.#connection += 1; // what still comes of the old one is of none
    this.#heartbeat?.stop();
    if (info.final || this.#closing !== undefined) {
      if (!info.final) void this.#ws.close(); // while closeSession was under way
      if (this.#state === "disconnected") return;
      this.#state = "disconnected";
      network.removeEventListener?.("online", this.#online);
      const why = this.#closing ? "the client has been closed" : `the connection has ended for good, ${told(info)}`;
      this.#outbox.clear();
      this.#incoming.forget();
      this.#pending.rejectAll(new ClosedError(why));
      this.#guard(() => this.#configuration.ws.ondisconnect?.({ ...info, final: true, retryIn: undefined }));
      return;
    }
    if (!wasConnecting) this.#state = "reconnecting";
    const repeated = this.#pending.lost(
      new ConnectionError(`the connection was lost before the answer, ${told(info)}`, info.code),
      info.code !== messageTooBig,
    );
    this.#outbox.addBefore(repeated.map((id) => ({ id, text: this.#pending.get(id)?.text ?? "" })));
    if (wasConnected) this.#guard(() => this.#configuration.ws.onreconnecting?.(info));
  }

  /** The network that is there may be another one, and the connection one of the network before. */
  readonly #online = (): void => this.#heartbeat?.hurry();

  #hasNoPulse(error: Error): void {
    if (this.#ended()) return;
    this.#failed(new ConnectionError("the server does not answer pings", 1006, { cause: error }));
    if (!this.#ended()) this.#ws.reconnect();
  }

  async #close(code?: number, reason?: string): Promise<CloseInfo> {
    this.#heartbeat?.stop();
    if (this.#configuration.sendCloseMessage && this.#ready && this.#ws.writable) {
      await new Promise<void>((done) =>
        this.#call("closeSession", undefined, this.#configuration.closeTimeout, {
          resolve: () => done(),
          reject: () => done(),
        }),
      );
    }
    return this.#ws.close(code, reason);
  }

  #ended(): boolean {
    return this.#closing !== undefined || this.#state === "disconnected";
  }

  #checkOpen(): void {
    if (this.#ended()) throw new ClosedError("the client has been closed");
  }

  // --- messages ------------------------------------------------------------------------------------

  async #request(method: string, params: object | null | undefined, options: SendOptions): Promise<unknown> {
    checkObject("options", options, ["timeout", "retries"]);
    const timeout = checkTime("timeout", options.timeout ?? this.#configuration.requestTimeout);
    const retries = checkCount("retries", options.retries ?? 0);
    const id = this.#nextId;
    const text = requestText(method, params, id);
    this.#checkOpen();
    if (this.#pending.size >= this.#configuration.maxPendingRequests) {
      throw new QueueFullError(`${this.#pending.size} requests wait for an answer; that is maxPendingRequests`);
    }
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      // One that timed out while it waited for a connection does not leave any more.
      const rejectAndForget = (error: Error) => {
        this.#outbox.remove((waiting) => waiting.id === id);
        reject(error);
      };
      const request: Pending = { method, text, retries, sent: false, resolve, reject: rejectAndForget };
      this.#pending.add(id, request, timeout);
      try {
        this.#post({ id, text });
      } catch (error) {
        this.#pending.take(id)?.reject(error as Error);
      }
    });
  }

  /**
   * A request of the client's own, which waits neither for the session nor for room. If it cannot leave, its time runs
   * all the same: so a ping finds a connection that does not end by itself.
   */
  #call(method: string, params: object | undefined, timeout: number, then: Pick<Pending, "resolve" | "reject">): void {
    const id = this.#nextId++;
    const text = requestText(method, params, id);
    this.#pending.add(id, { method, text, retries: 0, sent: true, ...then }, timeout);
    if (this.#ws.writable) this.#ws.transmit(text);
  }

  #post(waiting: Waiting): void {
    if (!this.#ready || !this.#ws.writable) {
      this.#outbox.add(waiting);
      return;
    }
    this.#ws.send(waiting.text);
    this.#hasLeft(waiting);
  }

  #hasLeft({ id }: Waiting): void {
    const request = id === undefined ? undefined : this.#pending.get(id);
    if (request) request.sent = true;
  }

  #flush(): void {
    const connection = this.#connection;
    for (;;) {
      if (!this.#ready || connection !== this.#connection || !this.#ws.writable) return;
      const next = this.#outbox.shift();
      if (next === undefined) return;
      this.#ws.transmit(next.text); // it has been let in by the outbox
      this.#hasLeft(next);
    }
  }

  #answer(text: string, connection: number): void {
    if (connection < this.#sessionSince || this.#state === "disconnected") return;
    try {
      // A server may want to know something before it gives a session.
      if (connection === this.#connection && this.#ws.writable) this.#ws.send(text);
      else this.#post({ text, connection });
    } catch (error) {
      this.#failed(error);
    }
  }

  #received(data: unknown): void {
    let message: Message;
    try {
      message = parse(data);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      const request = this.#pending.take(error.id);
      if (request) request.reject(error);
      else this.#failed(error);
      return;
    }
    switch (message.kind) {
      case "request":
      case "notification":
        this.#incoming.receive(message, data as string, this.#connection);
        return;
      case "result":
        this.#pending.take(message.id)?.resolve(message.result); // none: it came too late, or twice
        return;
      case "error": {
        const { code, message: text, data: details, type } = message.error;
        const error = new JsonRpcError(code, text, details, type);
        if (message.id === null) this.#failed(error); // the server could not tell what it is about
        else this.#pending.take(message.id)?.reject(error);
        return;
      }
    }
  }

  // --- callbacks -----------------------------------------------------------------------------------

  #failed(error: unknown): void {
    this.#guard(() => this.#configuration.ws.onerror?.(error as Error));
  }

  /** An exception of a method ends up where others do if nobody wants to hear of it. */
  #threw(error: unknown): void {
    if (this.#configuration.ws.onerror === undefined) rethrowLater(error);
    else this.#failed(error instanceof Error ? error : new Error(String(error)));
  }

  #guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      rethrowLater(error);
    }
  }
}

function told({ code, reason }: CloseInfo): string {
  return `with code ${code}${reason && ` (${reason})`}`;
}
