// SPDX-License-Identifier: Apache-2.0

import type { Clock } from "./clock.js";

/** Sends one; calls the other if there is no answer in time. */
type Ping = (params: { interval: number } | undefined, dead: (error: Error) => void) => void;

/** Asks the server again and again whether it is there. */
export class Heartbeat {
  readonly #interval: number;
  readonly #ping: Ping;
  readonly #dead: (error: Error) => void;
  readonly #clock: Clock;
  #timer: unknown;
  #run = 0; // changes when it starts or stops, so that answers to older pings do nothing

  /**
   * @param interval milliseconds between pings
   * @param dead called once for each start, with why a ping had no answer
   */
  constructor(interval: number, ping: Ping, dead: (error: Error) => void, clock: Clock) {
    this.#interval = interval;
    this.#ping = ping;
    this.#dead = dead;
    this.#clock = clock;
  }

  /** The first ping goes at once, and alone tells the server the interval. */
  start(): void {
    this.stop();
    this.#beat(this.#run, { interval: this.#interval });
  }

  /** A ping at once, if it runs: there is reason to doubt. */
  hurry(): void {
    if (this.#timer === undefined) return;
    this.#clock.clearTimeout(this.#timer);
    this.#beat(this.#run);
  }

  stop(): void {
    this.#run += 1;
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #beat(run: number, params?: { interval: number }): void {
    this.#timer = this.#clock.setTimeout(() => this.#beat(run), this.#interval);
    this.#ping(params, (error) => {
      if (run !== this.#run) return;
      this.stop();
      this.#dead(error);
    });
  }
}
