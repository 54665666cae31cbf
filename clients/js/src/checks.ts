// SPDX-License-Identifier: Apache-2.0
// What options may be. Each check names the option and what is allowed.

import { ConfigurationError } from "./errors.js";

/** A value as a message shows it. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}...` : value);
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  return String(value);
}

function refuse(name: string, allowed: string, value: unknown): never {
  throw new ConfigurationError(`${name} must be ${allowed}, not ${shown(value)}`);
}

/** An object with none but these members. A member that is undefined counts as left out. */
export function checkObject(name: string, value: unknown, allowed: readonly string[]): asserts value is object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(name, "an object", value);
  for (const key of Object.keys(value)) {
    if (!allowed.includes(key)) {
      throw new ConfigurationError(`${name} has no option "${key}"; there are ${allowed.join(", ")}`);
    }
  }
}

/** A number from `least` to `most`. */
export function checkNumber(name: string, value: unknown, least: number, most: number, unit = ""): number {
  if (typeof value !== "number" || !(value >= least && value <= most)) {
    const to = most === Infinity ? "or more" : `to ${most}`;
    refuse(name, `a number of ${least} ${to}${unit && ` ${unit}`}`, value);
  }
  return value;
}

/** Timers of browsers and Node run at once when they are given more. */
export const longestTime = 2 ** 31 - 1;

export function checkTime(name: string, value: unknown, least = 1): number {
  return checkNumber(name, value, least, longestTime, "(milliseconds)");
}

/** A number of things, or Infinity. */
export function checkCount(name: string, value: unknown, least = 0): number {
  if (value === Infinity) return Infinity;
  if (!Number.isInteger(value) || (value as number) < least) {
    refuse(name, `a whole number of ${least} or more, or Infinity`, value);
  }
  return value as number;
}

export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value !== "boolean") refuse(name, "true or false", value);
  return value;
}

export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== "function") refuse(name, "a function", value);
}

/** Functions among the members of an object, or undefined. */
export function checkFunctions(name: string, value: object, members: readonly string[]): void {
  for (const member of members) {
    const found = (value as Record<string, unknown>)[member];
    if (found !== undefined) checkFunction(`${name}.${member}`, found);
  }
}

const encoder = new TextEncoder();

/** Octets of a text in UTF-8. */
export function utf8Length(text: string): number {
  return encoder.encode(text).length;
}
