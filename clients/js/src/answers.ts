// SPDX-License-Identifier: Apache-2.0

import type { Clock } from "./clock.js";
import type { RequestId } from "./messages.js";

/** A request that has come, and what it was answered, once it is. */
export interface Answer {
  readonly id: RequestId;
  readonly text: string;
  answer: string | undefined;
}

/** An answer is kept for once to twice as long, in milliseconds. */
const generation = 5000;
const mostRequests = 1000; // of a generation, and without an answer
const mostCharacters = 1 << 20; // of a generation

/**
 * Requests without an answer, and what others were answered of late, for a server that sends one again because it has
 * not got the answer. The same id with another text is another request: a server that has been restarted counts from
 * the beginning.
 */
export class Answers {
  readonly #clock: Clock;
  #unanswered = new Map<RequestId, Answer>();
  #young = new Map<RequestId, Answer>();
  #old = new Map<RequestId, Answer>();
  #characters = 0; // of the young ones
  #timer: unknown;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  find(id: RequestId, text: string): Answer | undefined {
    const found = this.#unanswered.get(id) ?? this.#young.get(id) ?? this.#old.get(id);
    return found?.text === text ? found : undefined;
  }

  add(id: RequestId, text: string): Answer {
    const added: Answer = { id, text, answer: undefined };
    this.#unanswered.delete(id); // so that it is the last one
    this.#unanswered.set(id, added);
    if (this.#unanswered.size > mostRequests) this.#unanswered.delete(this.#unanswered.keys().next().value!);
    return added;
  }

  answered(request: Answer, answer: string): void {
    const { id, text } = request;
    request.answer = answer;
    if (this.#unanswered.get(id) !== request) return; // forgotten
    this.#unanswered.delete(id);
    const size = text.length + answer.length;
    if (this.#young.size >= mostRequests || this.#characters + size > mostCharacters) this.#begin();
    this.#young.set(id, request);
    this.#characters += size;
    this.#timer ??= this.#clock.setTimeout(() => this.#age(), generation);
  }

  forget(): void {
    this.#unanswered.clear();
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
