// SPDX-License-Identifier: Apache-2.0

export type { ReconnectionOptions } from "./backoff.js";
export type {
  Configuration,
  ConnectedInfo,
  ReconnectedInfo,
  RpcConfiguration,
  WsConfiguration,
} from "./configuration.js";
export {
  AlreadyAnsweredError,
  ClosedError,
  ConfigurationError,
  ConnectionError,
  ErrorCode,
  type ErrorObject,
  JsonRpcError,
  ProtocolError,
  QueueFullError,
  RequestTimeoutError,
} from "./errors.js";
export type { RequestHandler, ServerRequest } from "./incoming.js";
export { type Callback, type ClientState, JsonRpcClient, type SendOptions } from "./json-rpc-client.js";
export type { RequestId } from "./messages.js";
export {
  type CloseInfo,
  type ReconnectingState,
  ReconnectingWebSocket,
  type ReconnectingWebSocketOptions,
} from "./reconnecting-websocket.js";
export type { Address, Sendable, SockJSConstructor, WebSocketConstructor, WebSocketLike } from "./socket.js";
