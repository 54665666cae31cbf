// SPDX-License-Identifier: Apache-2.0

/** Time that passes when a test says so, and chance that is always the same. */
export class FakeClock {
  #now = 0;
  #last = 0;
  #timers = new Map();

  constructor(random = 0) {
    this.random = () => random;
  }

  setTimeout = (call, milliseconds) => {
    this.#timers.set(++this.#last, { call, at: this.#now + milliseconds });
    return this.#last;
  };

  clearTimeout = (timer) => {
    this.#timers.delete(timer);
  };

  get timers() {
    return this.#timers.size;
  }

  /** Milliseconds until the next timer. */
  get next() {
    return Math.min(...[...this.#timers.values()].map(({ at }) => at)) - this.#now;
  }

  /** Lets time pass, and has timers go off in their order. */
  advance(milliseconds) {
    const end = this.#now + milliseconds;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (due === undefined) break;
      const [id, { call, at }] = due;
      this.#timers.delete(id);
      this.#now = at;
      call();
    }
    this.#now = end;
  }
}

/** What the package throws later, where others' exceptions end up, while `run` runs. */
export async function thrownLater(run) {
  const thrown = [];
  const real = globalThis.queueMicrotask;
  globalThis.queueMicrotask = (call) =>
    real(() => {
      try {
        call();
      } catch (error) {
        thrown.push(error);
      }
    });
  try {
    await run();
    await new Promise((done) => setImmediate(done)); // all microtasks are through
  } finally {
    globalThis.queueMicrotask = real;
  }
  return thrown;
}
