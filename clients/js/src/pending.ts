// SPDX-License-Identifier: Apache-2.0

import type { Clock } from "./clock.js";
import { RequestTimeoutError } from "./errors.js";

/** A request that waits for its answer. */
export interface Pending {
  readonly method: string;
  readonly text: string;
  /** How many more times it may be sent if the connection is lost. */
  retries: number;
  /** It has left on the connection that there is. */
  sent: boolean;
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** Requests by their ids, in the order in which they were made, with their timers. */
export class PendingRequests {
  readonly #clock: Clock;
  readonly #waiting = new Map<number, { request: Pending; timer: unknown }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiting.size;
  }

  add(id: number, request: Pending, milliseconds: number): void {
    const timer = this.#clock.setTimeout(
      () => this.take(id)?.reject(new RequestTimeoutError(request.method, milliseconds)),
      milliseconds,
    );
    this.#waiting.set(id, { request, timer });
  }

  get(id: number): Pending | undefined {
    return this.#waiting.get(id)?.request;
  }

  /** The request, which is none of these any more. */
  take(id: unknown): Pending | undefined {
    const found = this.#waiting.get(id as number);
    if (found === undefined) return undefined;
    this.#waiting.delete(id as number);
    this.#clock.clearTimeout(found.timer);
    return found.request;
  }

  /**
   * Those that have been sent and may not be sent again are rejected. The others are as if they had not been sent.
   * @returns ids of those to send again
   */
  lost(error: Error, again: boolean): number[] {
    const repeated: number[] = [];
    for (const [id, { request }] of [...this.#waiting]) {
      if (!request.sent) continue;
      if (again && request.retries > 0) {
        request.retries -= 1;
        request.sent = false;
        repeated.push(id);
      } else {
        this.take(id)?.reject(error);
      }
    }
    return repeated;
  }

  rejectAll(error: Error): void {
    for (const id of [...this.#waiting.keys()]) this.take(id)?.reject(error);
  }
}
