// SPDX-License-Identifier: Apache-2.0
// What is on the wire: JSON-RPC 2.0, one message a text. https://www.jsonrpc.org/specification

import { shown } from "./checks.js";
import { ConfigurationError, type ErrorObject, ProtocolError } from "./errors.js";

export type RequestId = string | number | null;

export type Message =
  | { readonly kind: "request"; readonly id: RequestId; readonly method: string; readonly params: unknown }
  | { readonly kind: "notification"; readonly method: string; readonly params: unknown }
  | { readonly kind: "result"; readonly id: RequestId; readonly result: unknown }
  | { readonly kind: "error"; readonly id: RequestId; readonly error: ErrorObject };

// Members are in the order of kurento-jsonrpc's.

/** Null for what JSON has no word for: nothing, a function, a symbol, an object whose toJSON gives one of these. */
function toText(what: string, value: unknown): string {
  try {
    return JSON.stringify(value) ?? "null";
  } catch (error) {
    throw new ConfigurationError(`${what} cannot be written as JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** @throws ConfigurationError if method or params are none */
function checkCall(method: unknown, params: unknown): void {
  if (typeof method !== "string" || method === "") {
    throw new ConfigurationError(`a method must be a text that is not empty, not ${shown(method)}`);
  }
  if (params !== undefined && typeof params !== "object") {
    throw new ConfigurationError(
      `params of "${method}" must be an object or an array, or be left out, not ${shown(params)}`,
    );
  }
}

/** Without an id it is a notification. */
export function requestText(method: string, params: unknown, id?: number): string {
  checkCall(method, params);
  return toText(`params of "${method}"`, { jsonrpc: "2.0", method, params: params ?? undefined, id });
}

export function resultText(result: unknown, id: RequestId): string {
  return `{"jsonrpc":"2.0","result":${toText("the result", result)},"id":${JSON.stringify(id)}}`;
}

export function errorText(error: ErrorObject, id: RequestId): string {
  return toText("the error", { jsonrpc: "2.0", error, id });
}

function isId(id: unknown): id is RequestId {
  return id === null || typeof id === "string" || typeof id === "number";
}

/**
 * What the other side has sent.
 * @throws ProtocolError; with the id of the request that it was to answer, if there is one
 */
export function parse(text: unknown): Message {
  if (typeof text !== "string") throw new ProtocolError("a message must be text, not binary", "");
  let value;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new ProtocolError(`a message is no JSON: ${(error as Error).message}`, text, undefined, { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ProtocolError(`a message must be an object, not ${shown(value)}`, text);
  }
  const { jsonrpc, id, method, params, result, error } = value;
  const hasMethod = method !== undefined && method !== null;
  const answered = !hasMethod && (typeof id === "number" || typeof id === "string") ? id : undefined;
  const refuse = (why: string): never => {
    throw new ProtocolError(why, text, answered);
  };
  if (jsonrpc !== "2.0") refuse(`"jsonrpc" must be "2.0", not ${shown(jsonrpc)}`);
  if (id !== undefined && !isId(id)) refuse(`"id" must be a number, a text or null, not ${shown(id)}`);
  if (hasMethod) {
    if (typeof method !== "string") return refuse(`"method" must be a text, not ${shown(method)}`);
    if (id === undefined) return { kind: "notification", method, params: params ?? {} };
    return { kind: "request", id: id as RequestId, method, params: params ?? {} };
  }
  if (id === undefined) refuse('a message has neither "method" nor "id"');
  if ((error !== undefined && error !== null) === "result" in value && !(error === null && "result" in value)) {
    refuse('an answer must have one of "result" and "error"');
  }
  if (error === undefined || error === null) return { kind: "result", id: id as RequestId, result };
  const { code, message } = error as Record<string, unknown>;
  if (!Number.isInteger(code) || typeof message !== "string") {
    refuse('"error" must be an object with an integer "code" and a text "message"');
  }
  return { kind: "error", id: id as RequestId, error: error as ErrorObject };
}
