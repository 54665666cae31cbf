// SPDX-License-Identifier: Apache-2.0

/** Time and chance, which tests replace. Milliseconds throughout. */
export interface Clock {
  setTimeout(call: () => void, milliseconds: number): unknown;
  clearTimeout(timer: unknown): void;
  /** From 0 up to, but not, 1. */
  random(): number;
}

export const systemClock: Clock = {
  setTimeout: (call, milliseconds) => setTimeout(call, milliseconds),
  clearTimeout: (timer) => clearTimeout(timer),
  random: () => Math.random(),
};
