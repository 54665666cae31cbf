// SPDX-License-Identifier: Apache-2.0
// The sockets that this package can use: WebSocket of browsers and Node 22, npm's ws, npm's sockjs-client.

import { checkFunction, shown } from "./checks.js";
import { ConfigurationError } from "./errors.js";

/** What can be sent. */
export type Sendable = string | ArrayBufferLike | ArrayBufferView;

/** The part of a WebSocket that is used. */
export interface WebSocketLike {
  readonly readyState: number;
  /** Octets that have not left yet; SockJS does not know. */
  readonly bufferedAmount?: number;
  binaryType?: string;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onerror?: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  send(data: any): void;
  close(code?: number, reason?: string): void;
}

/** `WebSocket` of browsers or of npm's `ws`, or a class of one's own. */
export type WebSocketConstructor = new (uri: string, protocols?: string | string[]) => WebSocketLike;

/** `SockJS` of npm's `sockjs-client`. */
export type SockJSConstructor = new (uri: string, reserved?: null, options?: any) => WebSocketLike;

/** An address: a text or an URL object. */
export type Address = string | { readonly href: string };

/** readyState of a socket that takes messages. */
export const OPEN = 1;

const globals = globalThis as {
  WebSocket?: WebSocketConstructor;
  SockJS?: SockJSConstructor;
  location?: { href: string };
};

export function webSocketClass(name: string, given: WebSocketConstructor | undefined): WebSocketConstructor {
  const found = given ?? globals.WebSocket;
  if (found === undefined) {
    throw new ConfigurationError(
      "there is no global WebSocket here (Node has one from version 22 on): " +
        `give one as ${name}, for example of npm's "ws"`,
    );
  }
  checkFunction(name, found);
  return found;
}

/** A class that makes sockets of SockJS as others make WebSockets. */
export function sockJSClass(name: string, given: SockJSConstructor | undefined): WebSocketConstructor {
  const found = given ?? globals.SockJS;
  if (found === undefined) {
    throw new ConfigurationError(
      `useSockJS needs the class SockJS of npm's "sockjs-client": give it as ${name}, or load it in the page before`,
    );
  }
  checkFunction(name, found);
  const SockJS = found;
  return class {
    constructor(uri: string) {
      return new SockJS(uri) as never;
    }
  } as unknown as WebSocketConstructor;
}

/** The absolute address, with a scheme of `schemes`; http and ws stand for each other, as do https and wss. */
export function checkAddress(name: string, given: unknown, schemes: "ws" | "http" = "ws"): string {
  const text = typeof given === "object" && given !== null ? (given as { href?: unknown }).href : given;
  const allowed = `a ${schemes}: or ${schemes}s: address${globals.location ? ", or a path on this page's host" : ""}`;
  let url;
  try {
    if (typeof text !== "string") throw new TypeError("no text");
    url = new URL(text, globals.location?.href);
  } catch (error) {
    throw new ConfigurationError(`${name} must be ${allowed}, not ${shown(text)}`, { cause: error });
  }
  const found = /^(?:ws|http)(s?):$/.exec(url.protocol);
  if (!found) throw new ConfigurationError(`${name} must be ${allowed}, not ${shown(text)}`);
  if (url.hash !== "") throw new ConfigurationError(`${name} must not have a fragment, "${url.hash}"`);
  return url.href.replace(/^[a-z]+:/, `${schemes}${found[1]}:`);
}
