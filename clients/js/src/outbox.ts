// SPDX-License-Identifier: Apache-2.0

import { utf8Length } from "./checks.js";
import { QueueFullError } from "./errors.js";

/** What waits until there is a connection, and a session. */
export interface Waiting {
  readonly text: string;
  /** Of a request. */
  readonly id?: number;
  /** Of an answer: the connection by which the request came. */
  readonly connection?: number;
}

/** A queue with limits: of messages, and of octets. */
export class Outbox {
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  #waiting: { entry: Waiting; size: number }[] = [];
  #bytes = 0;

  constructor(maxMessages: number, maxBytes: number) {
    this.#maxMessages = maxMessages;
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** @throws QueueFullError */
  add(entry: Waiting): void {
    const size = utf8Length(entry.text);
    if (this.#waiting.length >= this.#maxMessages) {
      throw new QueueFullError(`${this.#waiting.length} messages wait for a connection; that is maxQueuedMessages`);
    }
    if (this.#bytes + size > this.#maxBytes) {
      throw new QueueFullError(`${this.#bytes} octets wait for a connection; maxBufferedBytes is ${this.#maxBytes}`);
    }
    this.#waiting.push({ entry, size });
    this.#bytes += size;
  }

  /** Before all others, in their order. They have been let in once, so no limit holds them up. */
  addBefore(entries: readonly Waiting[]): void {
    const sized = entries.map((entry) => ({ entry, size: utf8Length(entry.text) }));
    this.#waiting.unshift(...sized);
    for (const { size } of sized) this.#bytes += size;
  }

  /** Takes all that it is true for. */
  remove(unwanted: (entry: Waiting) => boolean): void {
    this.#waiting = this.#waiting.filter(({ entry, size }) => {
      const gone = unwanted(entry);
      if (gone) this.#bytes -= size;
      return !gone;
    });
  }

  shift(): Waiting | undefined {
    const first = this.#waiting.shift();
    this.#bytes -= first?.size ?? 0;
    return first?.entry;
  }

  clear(): void {
    this.#waiting = [];
    this.#bytes = 0;
  }
}
