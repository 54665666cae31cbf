// SPDX-License-Identifier: Apache-2.0
// Runs what README.md shows, and compares what it prints with the comments there.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { exampleService } from "./example-service.mjs";
import { snippets } from "./snippets.mjs";

// Below the package, so that it is found by its name.
const folder = fileURLToPath(new URL("../dist/readme/", import.meta.url));
let server;

before(async () => {
  mkdirSync(folder, { recursive: true });
  server = exampleService();
  await once(server, "listening");
});

after(() => {
  rmSync(folder, { recursive: true });
  server.close();
});

const page = readFileSync(new URL("../README.md", import.meta.url), "utf8");

for (const [number, { heading, program, expected }] of snippets(page).entries()) {
  test(`prints what README.md says: ${heading}`, async () => {
    const file = `${folder}${number}.mjs`;
    writeFileSync(file, program(`ws://127.0.0.1:${server.address().port}`));
    const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 60_000 });
    assert.deepEqual(stdout.trim().split("\n").sort(), expected.sort()); // callbacks stand above what they follow
  });
}

test("has the types and the numbers that README.md tells of", async () => {
  const { gzipSync } = await import("node:zlib");
  const size = gzipSync(readFileSync(new URL("../dist/browser.js", import.meta.url)), { level: 9 }).length;
  assert.ok(size < 9 * 1024, `${size} octets`);
  assert.match(page, /8 KB in a page/);
});
