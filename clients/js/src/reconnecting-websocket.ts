// SPDX-License-Identifier: Apache-2.0

import { Backoff, checkReconnection, type ReconnectionOptions } from "./backoff.js";
import { checkCount, checkFunctions, checkObject, checkTime, shown, utf8Length } from "./checks.js";
import { type Clock, systemClock } from "./clock.js";
import { ClosedError, ConfigurationError, ConnectionError, QueueFullError, rethrowLater } from "./errors.js";
import { type Address, checkAddress, OPEN, type Sendable, webSocketClass } from "./socket.js";
import type { WebSocketConstructor, WebSocketLike } from "./socket.js";

/**
 * - connecting: a socket is being opened
 * - open
 * - waiting: lost; the next try comes after a while
 * - closing: closed by its user, the other side has not answered yet
 * - closed: for good
 */
export type ReconnectingState = "connecting" | "open" | "waiting" | "closing" | "closed";

/** How a connection, or a try to get one, ended. */
export interface CloseInfo {
  /** As on the wire; 1005 if there was none, 1006 if there was no Close at all. */
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
  /** There will be no other connection. */
  readonly final: boolean;
  /** Milliseconds until the next try; undefined if final. */
  readonly retryIn: number | undefined;
}

export interface ReconnectingWebSocketOptions {
  protocols?: string | string[] | undefined;
  /** Needed where there is no global one: Node before 22. */
  WebSocket?: WebSocketConstructor | undefined;
  /** Of sockets that have a choice ("arraybuffer"). */
  binaryType?: string | undefined;
  /** False for no reconnection. */
  reconnection?: ReconnectionOptions | false | undefined;
  /** Milliseconds that a handshake may take (10000). */
  connectTimeout?: number | undefined;
  /** Milliseconds that the other side has to answer a Close (5000). */
  closeTimeout?: number | undefined;
  /** Codes of the other side after which it is of no use to come back (1002, 1003, 1007, 1008, 1010). */
  finalCloseCodes?: readonly number[] | undefined;
  /** Messages that may wait for a connection (1000). */
  maxQueuedMessages?: number | undefined;
  /** Octets that may wait, for a connection or for the network (16 MiB). */
  maxBufferedBytes?: number | undefined;
  /** A connection is open. What is sent in here leaves before what waited. */
  onopen?: ((info: { reconnected: boolean }) => void) | undefined;
  onmessage?: ((data: any) => void) | undefined;
  /** A connection was lost, a try failed, or it is closed for good. Told once of each, and of the end last. */
  onclose?: ((info: CloseInfo) => void) | undefined;
  onstatechange?: ((state: ReconnectingState, before: ReconnectingState) => void) | undefined;
  /** A try failed, or a connection broke. `onclose` follows. */
  onerror?: ((error: Error) => void) | undefined;
}

const optionNames = [
  "protocols",
  "WebSocket",
  "binaryType",
  "reconnection",
  "connectTimeout",
  "closeTimeout",
  "finalCloseCodes",
  "maxQueuedMessages",
  "maxBufferedBytes",
  "onopen",
  "onmessage",
  "onclose",
  "onstatechange",
  "onerror",
] as const;

export const defaultFinalCloseCodes: readonly number[] = [1002, 1003, 1007, 1008, 1010];
export const defaultCloseTimeout = 5000;
export const defaultMaxBufferedBytes = 16 * 1024 * 1024;

/** Pages and workers hear of the network; Node does not. */
export const network = globalThis as {
  addEventListener?: (type: string, listener: () => void) => void;
  removeEventListener?: (type: string, listener: () => void) => void;
};

function checkCodes(codes: unknown): ReadonlySet<number> {
  if (!Array.isArray(codes) || !codes.every((code) => Number.isInteger(code) && code >= 1000 && code <= 4999)) {
    throw new ConfigurationError(`finalCloseCodes must be an array of codes from 1000 to 4999, not ${shown(codes)}`);
  }
  return new Set<number>(codes);
}

function checkProtocols(given: unknown): string | string[] | undefined {
  const list = Array.isArray(given) ? given : given === undefined ? [] : [given];
  if (!list.every((protocol) => typeof protocol === "string" && /^[!#-'*+\-.^-z|~\w]+$/.test(protocol))) {
    throw new ConfigurationError(`protocols must be a token of HTTP or an array of them, not ${shown(given)}`);
  }
  return given as string | string[] | undefined;
}

/** Refuses what WebSockets refuse, but says what is allowed. */
export function checkClose(code: number | undefined, reason: string | undefined): void {
  if (code !== undefined && code !== 1000 && !(Number.isInteger(code) && code >= 3000 && code <= 4999)) {
    throw new ConfigurationError(`a close code must be 1000 or one from 3000 to 4999, not ${shown(code)}`);
  }
  if (reason === undefined) return;
  if (code === undefined) throw new ConfigurationError("a close reason needs a close code");
  if (typeof reason !== "string" || utf8Length(reason) > 123) {
    throw new ConfigurationError("a close reason must be a text of at most 123 octets in UTF-8");
  }
}

/** Octets of a message, or a few more if `room` is enough for them. */
function sizeOf(data: Sendable, room: number): number {
  if (typeof data === "string") return data.length * 3 <= room ? data.length * 3 : utf8Length(data);
  const size = (data as ArrayBufferView | undefined)?.byteLength;
  if (typeof size === "number") return size;
  throw new ConfigurationError(`what is sent must be a text, an ArrayBuffer or a view of one, not ${shown(data)}`);
}

/** For the queue: octets that were sent may be written to, as with any WebSocket. */
function kept(data: Sendable): Sendable {
  if (typeof data === "string") return data;
  if (!ArrayBuffer.isView(data)) return new Uint8Array(data).slice();
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
}

/**
 * A WebSocket that comes back when it is lost. It connects at once. Messages that are sent while there is no connection
 * wait, up to a limit; those that were under way when a connection was lost are lost.
 */
export class ReconnectingWebSocket {
  readonly #address: () => Address | PromiseLike<Address>;
  readonly #scheme: "ws" | "http";
  readonly #class: WebSocketConstructor;
  readonly #protocols: string | string[] | undefined;
  readonly #options: ReconnectingWebSocketOptions;
  readonly #backoff: Backoff;
  readonly #stableAfter: number;
  readonly #finalCodes: ReadonlySet<number>;
  readonly #connectTimeout: number;
  readonly #closeTimeout: number;
  readonly #maxQueuedMessages: number;
  readonly #maxBufferedBytes: number;
  readonly #clock: Clock;

  #state: ReconnectingState = "connecting";
  #socket: WebSocketLike | undefined;
  #uri = "";
  #attempt = 0; // changes with each, so that what belongs to an older one is known
  #opened = 0; // connections that have been open
  #endUntold = false; // onclose has not been told yet how the newest attempt ended
  #timer: unknown; // of the state that it is in: handshake, being stable, next try, closing
  #failure: unknown; // what an error event said of the socket
  #queue: { data: Sendable; size: number }[] = [];
  #queuedBytes = 0;
  #ended: Promise<CloseInfo> | undefined;
  #end: ((info: CloseInfo) => void) | undefined;

  /**
   * @param uri an address, or a function that gives one (or a promise of one) for each connection
   * @throws ConfigurationError that names what is not allowed
   */
  constructor(uri: Address | (() => Address | PromiseLike<Address>), options?: ReconnectingWebSocketOptions);
  /** @internal */
  constructor(
    uri: Address | (() => Address | PromiseLike<Address>),
    options: ReconnectingWebSocketOptions | undefined,
    clock: Clock,
    scheme?: "ws" | "http",
  );
  constructor(
    uri: Address | (() => Address | PromiseLike<Address>),
    options: ReconnectingWebSocketOptions = {},
    clock: Clock = systemClock,
    scheme: "ws" | "http" = "ws",
  ) {
    checkObject("options", options, optionNames);
    checkFunctions("options", options, ["onopen", "onmessage", "onclose", "onstatechange", "onerror"]);
    const reconnection = checkReconnection("reconnection", options.reconnection);
    this.#protocols = checkProtocols(options.protocols);
    this.#finalCodes = checkCodes(options.finalCloseCodes ?? defaultFinalCloseCodes);
    this.#connectTimeout = checkTime("connectTimeout", options.connectTimeout ?? 10_000);
    this.#closeTimeout = checkTime("closeTimeout", options.closeTimeout ?? defaultCloseTimeout);
    this.#maxQueuedMessages = checkCount("maxQueuedMessages", options.maxQueuedMessages ?? 1000);
    this.#maxBufferedBytes = checkCount("maxBufferedBytes", options.maxBufferedBytes ?? defaultMaxBufferedBytes, 1);
    this.#class = webSocketClass("options.WebSocket", options.WebSocket);
    this.#scheme = scheme;
    if (typeof uri === "function") {
      this.#address = uri;
    } else {
      const address = checkAddress("uri", uri, scheme);
      this.#address = () => address;
    }
    this.#options = options;
    this.#stableAfter = reconnection.stableAfter;
    this.#backoff = new Backoff(reconnection, clock);
    this.#clock = clock;
    network.addEventListener?.("online", this.#online);
    this.#connect();
  }

  get state(): ReconnectingState {
    return this.#state;
  }

  /** The address of the newest connection or try. */
  get uri(): string {
    return this.#uri;
  }

  /** Messages leave at once. */
  get writable(): boolean {
    // A socket that has got a Close drops what it is given, before it tells that it is closed.
    return this.#state === "open" && this.#socket?.readyState === OPEN;
  }

  /** Messages that wait for a connection. */
  get queuedMessages(): number {
    return this.#queue.length;
  }

  /** Octets that wait, for a connection or for the network. */
  get bufferedBytes(): number {
    return this.#queuedBytes + (this.#socket?.bufferedAmount ?? 0);
  }

  /** The subprotocol that the server has chosen. */
  get protocol(): string {
    return (this.#socket as { protocol?: string } | undefined)?.protocol ?? "";
  }

  /**
   * Sends a message, or keeps it until there is a connection.
   * @throws ClosedError, QueueFullError, ConfigurationError
   */
  send(data: Sendable): void {
    const buffered = this.bufferedBytes;
    const size = sizeOf(data, this.writable ? this.#maxBufferedBytes - buffered : 0);
    if (this.#state === "closing" || this.#state === "closed") throw new ClosedError(`the WebSocket is ${this.#state}`);
    if (buffered + size > this.#maxBufferedBytes) {
      throw new QueueFullError(
        `${buffered} octets wait already, and ${size} more are too much: maxBufferedBytes is ${this.#maxBufferedBytes}`,
      );
    }
    if (this.writable) {
      this.transmit(data);
      return;
    }
    if (this.#queue.length >= this.#maxQueuedMessages) {
      throw new QueueFullError(`${this.#queue.length} messages wait already; that is maxQueuedMessages`);
    }
    this.#queue.push({ data: kept(data), size });
    this.#queuedBytes += size;
  }

  /** @internal Sends, while writable, past the limits: what they have let in before, or what the connection needs. */
  transmit(data: Sendable): void {
    this.#socket?.send(data);
  }

  /** Gives up the connection that there is, or the wait for one, and makes another at once. */
  reconnect(): void {
    if (this.#state === "closing" || this.#state === "closed") throw new ClosedError(`the WebSocket is ${this.#state}`);
    this.#drop();
    const attempt = this.#attempt;
    this.#setState("connecting");
    this.#tellEnd(attempt, { code: 1006, reason: "", wasClean: false, final: false, retryIn: 0 });
    if (attempt === this.#attempt) this.#connect();
  }

  /** Gives up the connection, as if it had been lost; the next try is after a while, or after so many milliseconds. */
  drop(retryIn?: number): void {
    if (retryIn !== undefined) checkTime("retryIn", retryIn, 0);
    if (this.#state === "closing" || this.#state === "closed") throw new ClosedError(`the WebSocket is ${this.#state}`);
    this.#drop();
    this.#lost({ code: 1006, reason: "", wasClean: false }, retryIn);
  }

  /**
   * Closes for good. What waits for a connection is dropped. Without a code, the Close has none.
   * @returns how it ended: when the other side has answered, or after closeTimeout
   */
  close(code?: number, reason?: string): Promise<CloseInfo> {
    checkClose(code, reason);
    this.#ended ??= new Promise((resolve) => (this.#end = resolve));
    if (this.#state === "open" && this.#socket !== undefined) {
      const socket = this.#socket;
      const attempt = this.#attempt;
      this.#clearTimer();
      this.#clearQueue();
      this.#timer = this.#clock.setTimeout(() => {
        if (attempt !== this.#attempt) return;
        this.#drop();
        this.#finish({ code: 1006, reason: "", wasClean: false });
      }, this.#closeTimeout);
      this.#setState("closing");
      this.#closeSocket(socket, code, reason);
    } else if (this.#state !== "closing" && this.#state !== "closed") {
      this.#drop();
      this.#finish({ code: 1006, reason: "", wasClean: false });
    }
    return this.#ended;
  }

  // --- the way of a connection ---------------------------------------------------------------------

  #connect(): void {
    const attempt = ++this.#attempt;
    this.#failure = undefined;
    this.#endUntold = true;
    this.#setState("connecting");
    if (attempt !== this.#attempt) return; // closed by the callback
    this.#timer = this.#clock.setTimeout(() => {
      if (attempt !== this.#attempt) return;
      this.#failure = new Error(`no connection in ${this.#connectTimeout} ms`);
      this.#drop();
      this.#failed({ code: 1006, reason: "", wasClean: false });
    }, this.#connectTimeout);
    let address;
    try {
      address = this.#address();
    } catch (error) {
      if (attempt === this.#attempt) this.#hasNoSocket(error);
      return;
    }
    if (typeof (address as PromiseLike<Address>)?.then !== "function") {
      if (attempt === this.#attempt) this.#open(address as Address);
      return;
    }
    (address as PromiseLike<Address>).then(
      (found) => attempt === this.#attempt && this.#open(found),
      (error) => attempt === this.#attempt && this.#hasNoSocket(error),
    );
  }

  /** There is no socket. Told later, as its user may not have what the constructor returns yet. */
  #hasNoSocket(error: unknown): void {
    const attempt = this.#attempt;
    queueMicrotask(() => {
      if (attempt !== this.#attempt) return;
      this.#failure = error;
      this.#drop();
      this.#failed({ code: 1006, reason: "", wasClean: false });
    });
  }

  #open(address: Address): void {
    let socket: WebSocketLike;
    try {
      this.#uri = checkAddress("uri", address, this.#scheme);
      socket =
        this.#protocols === undefined ? new this.#class(this.#uri) : new this.#class(this.#uri, this.#protocols);
    } catch (error) {
      this.#hasNoSocket(error);
      return;
    }
    this.#socket = socket;
    // Those that do not know the property, such as SockJS, do not mind.
    socket.binaryType = this.#options.binaryType ?? "arraybuffer";
    socket.onopen = () => this.#socket === socket && this.#isOpen();
    socket.onmessage = (event: { data: unknown }) => {
      if (this.#socket === socket) this.#call(this.#options.onmessage, event.data);
    };
    socket.onerror = (event: { error?: unknown; message?: string }) => {
      if (this.#socket === socket) this.#failure = event?.error ?? new Error(event?.message ?? "the socket failed");
    };
    socket.onclose = (event: { code?: number; reason?: unknown; wasClean?: boolean }) => {
      if (this.#socket !== socket) return;
      const info = { code: event.code ?? 1006, reason: String(event.reason ?? ""), wasClean: event.wasClean ?? false };
      const before = this.#state;
      this.#drop();
      if (before === "closing") this.#finish(info);
      else if (before === "connecting") this.#failed(info);
      else this.#broken(info);
    };
  }

  #isOpen(): void {
    if (this.#state !== "connecting") return;
    this.#clearTimer();
    const attempt = this.#attempt;
    this.#timer = this.#clock.setTimeout(() => attempt === this.#attempt && this.#backoff.reset(), this.#stableAfter);
    const reconnected = this.#opened > 0;
    this.#opened += 1;
    this.#setState("open");
    if (attempt === this.#attempt && this.writable) this.#call(this.#options.onopen, { reconnected });
    while (this.#queue.length > 0 && attempt === this.#attempt && this.writable) {
      const { data, size } = this.#queue.shift()!;
      this.#queuedBytes -= size;
      this.transmit(data);
    }
  }

  /** A handshake failed. */
  #failed(info: Omit<CloseInfo, "final" | "retryIn">): void {
    const cause = this.#failure;
    const why = cause instanceof Error && cause.message !== "" ? `: ${cause.message}` : "";
    const message = `could not connect to ${this.#uri || "the address"}${why}`;
    if (this.#callAndGoOn(this.#options.onerror, new ConnectionError(message, info.code, { cause }))) this.#lost(info);
  }

  /** An open connection ended without our doing. */
  #broken(info: Omit<CloseInfo, "final" | "retryIn">): void {
    if (this.#failure !== undefined) {
      const message = `the connection to ${this.#uri} broke: ${(this.#failure as Error).message}`;
      const error = new ConnectionError(message, info.code, { cause: this.#failure });
      if (!this.#callAndGoOn(this.#options.onerror, error)) return;
    }
    if (this.#finalCodes.has(info.code)) this.#finish(info);
    else this.#lost(info);
  }

  #lost(info: Omit<CloseInfo, "final" | "retryIn">, wanted?: number): void {
    const delay = this.#backoff.next();
    if (delay === undefined) {
      this.#finish(info);
      return;
    }
    const attempt = ++this.#attempt;
    const retryIn = wanted ?? delay;
    this.#timer = this.#clock.setTimeout(() => attempt === this.#attempt && this.#connect(), retryIn);
    this.#setState("waiting");
    this.#tellEnd(attempt, { ...info, final: false, retryIn });
  }

  #finish(info: Omit<CloseInfo, "final" | "retryIn">): void {
    network.removeEventListener?.("online", this.#online);
    this.#clearQueue();
    this.#setState("closed");
    const told: CloseInfo = { ...info, final: true, retryIn: undefined };
    this.#ended ??= Promise.resolve(told);
    this.#end?.(told);
    this.#call(this.#options.onclose, told);
  }

  /** Has nothing to do with its socket any more, whatever that does. */
  #drop(): void {
    this.#attempt += 1;
    this.#clearTimer();
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket === undefined) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.onerror = () => {}; // npm's ws throws what nobody listens to
    this.#closeSocket(socket);
  }

  #closeSocket(socket: WebSocketLike | undefined, code?: number, reason?: string): void {
    try {
      if (code === undefined) socket?.close();
      else if (reason === undefined) socket?.close(code);
      else socket?.close(code, reason);
    } catch {
      // SockJS throws if it is closed already.
    }
  }

  readonly #online = (): void => {
    if (this.#state === "waiting") this.reconnect();
  };

  #clearQueue(): void {
    this.#queue = [];
    this.#queuedBytes = 0;
  }

  #clearTimer(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #setState(state: ReconnectingState): void {
    const before = this.#state;
    if (state === before) return;
    this.#state = state;
    const tell = this.#options.onstatechange;
    if (tell) this.#call((now: ReconnectingState) => tell(now, before), state);
  }

  /** Once for each try or connection, and not if a callback has closed or reconnected since `attempt`. */
  #tellEnd(attempt: number, info: CloseInfo): void {
    if (attempt !== this.#attempt || !this.#endUntold) return;
    this.#endUntold = false;
    this.#call(this.#options.onclose, info);
  }

  /** False if the callback has closed or reconnected. */
  #callAndGoOn<Argument>(callback: ((argument: Argument) => void) | undefined, argument: Argument): boolean {
    const attempt = this.#attempt;
    this.#call(callback, argument);
    return attempt === this.#attempt;
  }

  #call<Argument>(callback: ((argument: Argument) => void) | undefined, argument: Argument): void {
    try {
      callback?.(argument);
    } catch (error) {
      rethrowLater(error);
    }
  }
}
