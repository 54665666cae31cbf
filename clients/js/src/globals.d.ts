// SPDX-License-Identifier: Apache-2.0
// What browsers and Node have alike and this package uses. Neither the types of the DOM nor those of Node are asked for,
// so that the package compiles for both and its own types need none of them.

declare function setTimeout(call: () => void, milliseconds: number): unknown;
declare function clearTimeout(timer: unknown): void;
declare function queueMicrotask(call: () => void): void;

declare class TextEncoder {
  encode(text: string): Uint8Array;
}

declare class URL {
  constructor(url: string, base?: string);
  protocol: string;
  hash: string;
  readonly href: string;
}
