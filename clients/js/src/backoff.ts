// SPDX-License-Identifier: Apache-2.0

import { checkCount, checkNumber, checkObject, checkTime } from "./checks.js";
import type { Clock } from "./clock.js";
import { ConfigurationError } from "./errors.js";

/** When a lost connection is tried again. Times in milliseconds. */
export interface ReconnectionOptions {
  /** The window of the first try after a loss (1000). */
  minDelay?: number;
  /** The largest window (30000). */
  maxDelay?: number;
  /** What the window grows by with each try (2). */
  factor?: number;
  /** The part of the window in which the time is chosen by chance, so that clients do not come back all at once: 0 for
   * its end always, 1 for anywhere in it (1). */
  jitter?: number;
  /** Tries in a row without a connection that held; then the end is final (Infinity). 0: never again. */
  maxRetries?: number;
  /** How long a connection has to be open for the next loss to begin with minDelay again (5000). */
  stableAfter?: number;
}

const defaults: Required<ReconnectionOptions> = {
  minDelay: 1000,
  maxDelay: 30_000,
  factor: 2,
  jitter: 1,
  maxRetries: Infinity,
  stableAfter: 5000,
};

export function checkReconnection(name: string, given: unknown): Required<ReconnectionOptions> {
  if (given === undefined) return defaults;
  if (given === false) return { ...defaults, maxRetries: 0 };
  if (typeof given !== "object") {
    throw new ConfigurationError(`${name} must be false or an object with ${Object.keys(defaults).join(", ")}`);
  }
  checkObject(name, given, Object.keys(defaults));
  const known = Object.entries(given).filter(([, value]) => value !== undefined);
  const options: Required<ReconnectionOptions> = { ...defaults, ...Object.fromEntries(known) };
  checkTime(`${name}.minDelay`, options.minDelay, 0);
  checkTime(`${name}.maxDelay`, options.maxDelay, options.minDelay);
  checkNumber(`${name}.factor`, options.factor, 1, 100);
  checkNumber(`${name}.jitter`, options.jitter, 0, 1);
  checkCount(`${name}.maxRetries`, options.maxRetries);
  checkTime(`${name}.stableAfter`, options.stableAfter, 0);
  return options;
}

/** Counts tries, and says when the next one is. */
export class Backoff {
  readonly #options: Required<ReconnectionOptions>;
  readonly #clock: Clock;
  #tries = 0;

  constructor(options: Required<ReconnectionOptions>, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** Milliseconds until the next try, or undefined if there have been enough. */
  next(): number | undefined {
    const { minDelay, maxDelay, factor, jitter, maxRetries } = this.#options;
    if (this.#tries >= maxRetries) return undefined;
    const window = Math.min(maxDelay, minDelay * factor ** Math.min(this.#tries, 100));
    this.#tries += 1;
    return Math.round(window * (1 - jitter * this.#clock.random()));
  }

  /** A connection has held. */
  reset(): void {
    this.#tries = 0;
  }
}
