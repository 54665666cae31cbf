// SPDX-License-Identifier: Apache-2.0
// What a client is told: the object of kurento-jsonrpc, with more that can be said.

import type { ReconnectionOptions } from "./backoff.js";
import { checkBoolean, checkCount, checkFunction, checkFunctions, checkObject, checkTime, shown } from "./checks.js";
import { ConfigurationError } from "./errors.js";
import type { RequestHandler } from "./incoming.js";
import type { CloseInfo } from "./reconnecting-websocket.js";
import { defaultCloseTimeout, defaultFinalCloseCodes, defaultMaxBufferedBytes } from "./reconnecting-websocket.js";
import type { Address, SockJSConstructor, WebSocketConstructor } from "./socket.js";
import { checkAddress } from "./socket.js";

export interface ConnectedInfo {
  /** Undefined if the server has none, or `session` is false. */
  readonly sessionId: string | undefined;
}

export interface ReconnectedInfo extends ConnectedInfo {
  /** The server still has what it kept for this client. If not, what it was told has to be told again. */
  readonly sameSession: boolean;
}

/** The socket, and who is told of it. */
export interface WsConfiguration {
  /** In pages, a path on the page's host is enough. With useSockJS an http: or https: address. */
  uri: Address;
  /** Use SockJS instead of WebSocket (false). */
  useSockJS?: boolean | undefined;
  /** The class of npm's sockjs-client; the global one if it is left out. */
  SockJS?: SockJSConstructor | undefined;
  /** The class of npm's ws or another; the global one if it is left out. */
  WebSocket?: WebSocketConstructor | undefined;
  protocols?: string | string[] | undefined;
  /** When a lost connection is tried again; false for never. */
  reconnection?: ReconnectionOptions | false | undefined;
  /** Milliseconds that a handshake may take (10000). */
  connectTimeout?: number | undefined;
  /** Milliseconds that the server has to answer closeSession, and then a Close (5000). */
  closeTimeout?: number | undefined;
  /** Codes of the server after which the client does not come back (1002, 1003, 1007, 1008, 1010). */
  finalCloseCodes?: readonly number[] | undefined;
  /** Octets that may wait, for a connection or for the network (16 MiB). */
  maxBufferedBytes?: number | undefined;
  /** Asked for the address of each connection but the first. */
  newWsUriOnReconnection?: ((callback: (error: unknown, uri?: Address) => void) => void) | undefined;
  /** The first connection is there, and its session. */
  onconnected?: ((info: ConnectedInfo) => void) | undefined;
  /** A connection is there again. */
  onreconnected?: ((info: ReconnectedInfo) => void) | undefined;
  /** The connection has been lost; the next is being tried. */
  onreconnecting?: ((info: CloseInfo) => void) | undefined;
  /** There will be no connection any more: closed by its user, given up, or ended for good by the server. */
  ondisconnect?: ((info: CloseInfo) => void) | undefined;
  /** A try failed, what came is no JSON-RPC, or a method of `rpc` threw. */
  onerror?: ((error: Error) => void) | undefined;
}

/** Times of requests, and besides them the methods that the server may call. */
export type RpcConfiguration = {
  /** Milliseconds that an answer may take (5000). */
  requestTimeout?: number | undefined;
  /** The same for pings of the heartbeat (requestTimeout, or heartbeat if that is less). */
  heartbeatRequestTimeout?: number | undefined;
} & { [method: string]: RequestHandler | number | undefined };

export interface Configuration {
  /** Milliseconds between pings; without it there are none. */
  heartbeat?: number | undefined;
  /** Tell the server of the end, so that it forgets the session at once (false). */
  sendCloseMessage?: boolean | undefined;
  /** Begin each connection with `connect`, and keep the session over connections (true). */
  session?: boolean | undefined;
  /** Requests that may wait for an answer (1000). */
  maxPendingRequests?: number | undefined;
  /** Messages of all kinds that may wait for a connection (1000). */
  maxQueuedMessages?: number | undefined;
  ws: WsConfiguration;
  rpc?: RpcConfiguration | undefined;
}

const topMembers = ["heartbeat", "sendCloseMessage", "session", "maxPendingRequests", "maxQueuedMessages", "ws", "rpc"];
const callbacks = ["onconnected", "onreconnected", "onreconnecting", "ondisconnect", "onerror", "newWsUriOnReconnection"];
const limits = ["reconnection", "connectTimeout", "closeTimeout", "finalCloseCodes", "maxBufferedBytes"];
const wsMembers = ["uri", "useSockJS", "SockJS", "WebSocket", "protocols", ...limits, ...callbacks];
const rpcTimes = ["requestTimeout", "heartbeatRequestTimeout"];

/** The same with defaults, checked. */
export interface Checked {
  readonly heartbeat: number | undefined;
  readonly sendCloseMessage: boolean;
  readonly session: boolean;
  readonly maxPendingRequests: number;
  readonly maxQueuedMessages: number;
  readonly maxBufferedBytes: number;
  readonly requestTimeout: number;
  readonly heartbeatRequestTimeout: number;
  readonly closeTimeout: number;
  readonly uri: string;
  readonly useSockJS: boolean;
  readonly finalCloseCodes: readonly number[];
  readonly ws: WsConfiguration;
  readonly methods: readonly (readonly [string, RequestHandler])[];
}

function checkMethods(rpc: object): [string, RequestHandler][] {
  const methods = Object.entries(rpc).filter(([name, value]) => !rpcTimes.includes(name) && value !== undefined);
  for (const [name, value] of methods) {
    if (typeof value !== "function") {
      throw new ConfigurationError(
        `rpc.${name} must be a function, as a method that the server calls, not ${shown(value)}; ` +
          `options of rpc are ${rpcTimes.join(" and ")}`,
      );
    }
  }
  return methods;
}

/** @throws ConfigurationError that names what is wrong, and what is allowed */
export function checkConfiguration(given: Configuration): Checked {
  checkObject("configuration", given, topMembers);
  const { ws, rpc = {} } = given;
  checkObject("ws", ws, wsMembers);
  checkFunctions("ws", ws, callbacks);
  if (typeof rpc !== "object" || rpc === null) {
    throw new ConfigurationError(`rpc must be an object with options and methods, not ${shown(rpc)}`);
  }
  const useSockJS = checkBoolean("ws.useSockJS", ws.useSockJS ?? false);
  if (ws.WebSocket !== undefined) checkFunction("ws.WebSocket", ws.WebSocket);
  const heartbeat = given.heartbeat === undefined ? undefined : checkTime("heartbeat", given.heartbeat);
  const requestTimeout = checkTime("rpc.requestTimeout", rpc.requestTimeout ?? 5000);
  const pingTimeout = rpc.heartbeatRequestTimeout ?? Math.min(requestTimeout, heartbeat ?? requestTimeout);
  return {
    heartbeat,
    sendCloseMessage: checkBoolean("sendCloseMessage", given.sendCloseMessage ?? false),
    session: checkBoolean("session", given.session ?? true),
    maxPendingRequests: checkCount("maxPendingRequests", given.maxPendingRequests ?? 1000, 1),
    maxQueuedMessages: checkCount("maxQueuedMessages", given.maxQueuedMessages ?? 1000),
    maxBufferedBytes: checkCount("ws.maxBufferedBytes", ws.maxBufferedBytes ?? defaultMaxBufferedBytes, 1),
    requestTimeout,
    heartbeatRequestTimeout: checkTime("rpc.heartbeatRequestTimeout", pingTimeout),
    closeTimeout: checkTime("ws.closeTimeout", ws.closeTimeout ?? defaultCloseTimeout),
    uri: checkAddress("ws.uri", ws.uri, useSockJS ? "http" : "ws"),
    useSockJS,
    finalCloseCodes: ws.finalCloseCodes ?? defaultFinalCloseCodes,
    ws,
    methods: checkMethods(rpc),
  };
}
