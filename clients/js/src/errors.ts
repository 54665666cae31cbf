// SPDX-License-Identifier: Apache-2.0

/** Codes that JSON-RPC 2.0 reserves, and the one of Kurento's servers for a session that they do not know. */
export const ErrorCode = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  unknownSession: 40007,
} as const;

/** The `error` of an answer, as it is on the wire. */
export interface ErrorObject {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
  /** Kurento's servers add a type. */
  readonly type?: string;
}

// Each sets its name as a text: those of classes change in minified files.

/** The other side answered a request with an error; or throw it in a handler to answer with one. */
export class JsonRpcError extends Error {
  readonly code: number;
  readonly data?: unknown;
  readonly type?: string;

  constructor(code: number, message: string, data?: unknown, type?: string) {
    super(message);
    this.name = "JsonRpcError";
    if (!Number.isInteger(code)) {
      throw new TypeError(`the code of a JsonRpcError must be an integer, not ${String(code)}`);
    }
    this.code = code;
    if (data !== undefined) this.data = data;
    if (type !== undefined) this.type = type;
  }

  /** What goes into an answer. */
  toJSON(): ErrorObject {
    return {
      code: this.code,
      message: this.message,
      ...(this.data === undefined ? {} : { data: this.data }),
      ...(this.type === undefined ? {} : { type: this.type }),
    };
  }
}

/** A configuration or an argument is not allowed; the message says which, and what is. */
export class ConfigurationError extends TypeError {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "ConfigurationError";
  }
}

/** A connection could not be made, or has been lost while a request was under way. */
export class ConnectionError extends Error {
  /** The code of the WebSocket's end, if it had one; 1006 if it ended without. */
  readonly code: number;

  constructor(message: string, code = 1006, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "ConnectionError";
    this.code = code;
  }
}

/** No answer came in time. The request may have been carried out. */
export class RequestTimeoutError extends Error {
  readonly method: string;
  readonly milliseconds: number;

  constructor(method: string, milliseconds: number) {
    super(`Request has timed out: no answer to "${method}" in ${milliseconds} ms`);
    this.name = "RequestTimeoutError";
    this.method = method;
    this.milliseconds = milliseconds;
  }
}

/** What is called has been closed, by its user or for good by the server. */
export class ClosedError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "ClosedError";
  }
}

/** As much is waiting as may wait; the message names the limit. */
export class QueueFullError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "QueueFullError";
  }
}

/** The other side sent what is no JSON-RPC 2.0. */
export class ProtocolError extends Error {
  /** The beginning of what came. */
  readonly received: string;
  /** The request that it was meant to answer, if that can be seen. */
  readonly id: number | string | undefined;

  constructor(message: string, received: string, id?: number | string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "ProtocolError";
    this.received = received.slice(0, 200);
    this.id = id;
  }
}

/** A request of the server has been answered before. */
export class AlreadyAnsweredError extends Error {
  constructor(method: string) {
    super(`the request "${method}" has been answered already`);
    this.name = "AlreadyAnsweredError";
  }
}

/**
 * Lets the world know of an exception of a callback of the user's without ending what called it: browsers show it in
 * the console, Node ends the process as with any other that nobody catches.
 */
export function rethrowLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
