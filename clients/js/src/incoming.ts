// SPDX-License-Identifier: Apache-2.0
// Requests and notifications of the server, and the methods that answer them.

import { Answers } from "./answers.js";
import { checkFunction, shown } from "./checks.js";
import type { Clock } from "./clock.js";
import { AlreadyAnsweredError, ConfigurationError, ErrorCode, type ErrorObject, JsonRpcError } from "./errors.js";
import { errorText, type Message, type RequestId, resultText } from "./messages.js";

/** A request or a notification of the server, and the way to answer it. */
export interface ServerRequest {
  readonly method: string;
  /** Undefined if it is a notification, which is not answered. */
  readonly id: RequestId | undefined;
  readonly params: unknown;
  /** Answers with a result. @throws AlreadyAnsweredError; ConfigurationError if it cannot be JSON */
  success(result?: unknown): void;
  /** Answers with an error. @throws as success */
  error(error: ErrorObject): void;
  /** Either of them, as kurento-jsonrpc has it. */
  reply(error: ErrorObject | Error | null | undefined, result?: unknown): void;
}

/**
 * Answers a request. What it returns is the answer, or what a promise of it comes to. One that returns undefined
 * answers by `request`, now or later. What it throws is an error to the server.
 */
export type RequestHandler = (params: any, request: ServerRequest) => unknown;

type Call = Extract<Message, { kind: "request" | "notification" }>;

function toErrorObject(error: unknown): ErrorObject {
  if (error instanceof JsonRpcError) return error.toJSON();
  if (error instanceof Error) return { code: ErrorCode.internalError, message: error.message || error.name };
  const { code, message, data, type } = (error ?? {}) as Partial<ErrorObject>;
  if (!Number.isInteger(code) || typeof message !== "string") {
    throw new ConfigurationError(
      `an error must be an Error, or an object with an integer "code" and a text "message", not ${shown(error)}`,
    );
  }
  // Not itself: getters of a class and a toJSON of its own may leave nothing of it in JSON.
  return new JsonRpcError(code as number, message, data, type).toJSON();
}

/** Calls methods, and sees to it that each request is carried out and answered once. */
export class IncomingRequests {
  readonly #methods = new Map<string, RequestHandler>();
  readonly #send: (text: string, connection: number) => void;
  readonly #failed: (error: unknown) => void;
  readonly #answers: Answers;

  /**
   * @param send sends an answer to a request that came by this connection
   * @param failed hears of exceptions of methods
   */
  constructor(send: (text: string, connection: number) => void, failed: (error: unknown) => void, clock: Clock) {
    this.#send = send;
    this.#failed = failed;
    this.#answers = new Answers(clock);
  }

  /** Replaces what had the name. */
  register(method: string, handler: RequestHandler): void {
    if (typeof method !== "string" || method === "") {
      throw new ConfigurationError(`a method must be a text that is not empty, not ${shown(method)}`);
    }
    checkFunction(`the method "${method}"`, handler);
    this.#methods.set(method, handler);
  }

  unregister(method: string): boolean {
    return this.#methods.delete(method);
  }

  /** Ids may come again for something else. */
  forget(): void {
    this.#answers.forget();
  }

  receive(call: Call, text: string, connection: number): void {
    if (call.kind === "notification") {
      this.#notified(call);
      return;
    }
    const before = this.#answers.find(call.id, text);
    if (before !== undefined) {
      // Sent again by a server that has not got the answer. One that is not there yet will be sent when it is.
      if (before.answer !== undefined) this.#send(before.answer, connection);
      return;
    }
    const request = this.#answers.add(call.id, text);
    const answer = (written: string) => {
      if (request.answer !== undefined) throw new AlreadyAnsweredError(call.method);
      this.#answers.answered(request, written);
      this.#send(written, connection);
    };
    this.#requested(call, answer, () => request.answer !== undefined);
  }

  #notified({ method, params }: Call): void {
    const ignore = () => {};
    const request = { method, params, id: undefined, success: ignore, error: ignore, reply: ignore };
    try {
      const returned = this.#methods.get(method)?.(params, request);
      if (isPromise(returned)) returned.then(undefined, this.#failed);
    } catch (error) {
      this.#failed(error);
    }
  }

  #requested(call: Call & { kind: "request" }, answer: (text: string) => void, isAnswered: () => boolean): void {
    const { id, method, params } = call;
    const success = (result?: unknown) => answer(resultText(result, id));
    const error = (why: unknown) => answer(errorText(toErrorObject(why), id));
    const request: ServerRequest = {
      id,
      method,
      params,
      success,
      error,
      reply: (why, result) => (why === null || why === undefined ? success(result) : error(why)),
    };
    const thrown = (why: unknown) => {
      if (isAnswered() || !(why instanceof JsonRpcError)) this.#failed(why);
      if (isAnswered()) return;
      try {
        error(why instanceof Error ? why : new Error(shown(why)));
      } catch (unwritable) {
        thrown(unwritable); // about its data
      }
    };
    const handler = this.#methods.get(method);
    if (handler === undefined) {
      error({ code: ErrorCode.methodNotFound, message: `the client has no method ${shown(method)}` });
      return;
    }
    try {
      const returned = handler(params, request);
      if (isPromise(returned)) {
        // Who has awaited all that there was to do has nothing to answer but that.
        returned.then((result) => (isAnswered() && result === undefined) || success(result)).then(undefined, thrown);
      } else if (returned !== undefined) {
        success(returned);
      }
    } catch (why) {
      thrown(why);
    }
  }
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof (value as Promise<unknown> | undefined)?.then === "function";
}
