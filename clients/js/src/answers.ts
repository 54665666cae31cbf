// SPDX-License-Identifier: Apache-2.0

import type { Clock } from "./clock.js";
import type { RequestId } from "./messages.js";

/** A request that has come, and what it was answered, once it is. */
export interface Answer {
  readonly text: string;
  answer: string | undefined;
}

/** An answer is kept for once to twice as long, in milliseconds. */
const generation = 5000;
const mostRequests = 1000;
const mostCharacters = 1 << 20;

/**
 * What was answered of late, for requests that a server sends again because it has not got the answer. The same id with
 * another text is another request: a server that has been restarted counts from the beginning.
 */
export class Answers {
  readonly #clock: Clock;
  #young = new Map<RequestId, Answer>();
  #old = new Map<RequestId, Answer>();
  #characters = 0; // of the young ones
  #timer: unknown;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  find(id: RequestId, text: string): Answer | undefined {
    const found = this.#young.get(id) ?? this.#old.get(id);
    return found?.text === text ? found : undefined;
  }

  add(id: RequestId, text: string): Answer {
    const added: Answer = { text, answer: undefined };
    if (this.#young.size >= mostRequests || this.#characters + text.length > mostCharacters) this.#begin();
    this.#young.set(id, added);
    this.#characters += text.length;
    this.#timer ??= this.#clock.setTimeout(() => this.#age(), generation);
    return added;
  }

  answered(request: Answer, answer: string): void {
    request.answer = answer;
    this.#characters += answer.length;
  }

  forget(): void {
    this.#begin();
    this.#old.clear();
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #begin(): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#characters = 0;
  }

  #age(): void {
    this.#timer = undefined;
    this.#begin();
    if (this.#old.size > 0) this.#timer = this.#clock.setTimeout(() => this.#age(), generation);
  }
}
