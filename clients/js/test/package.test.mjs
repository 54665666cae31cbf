// SPDX-License-Identifier: Apache-2.0
// The package as others get it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as imported from "mod-websocket-jsonrpc";
import * as inOneFile from "../dist/browser.js";

const names = [
  "AlreadyAnsweredError",
  "ClosedError",
  "ConfigurationError",
  "ConnectionError",
  "ErrorCode",
  "JsonRpcClient",
  "JsonRpcError",
  "ProtocolError",
  "QueueFullError",
  "ReconnectingWebSocket",
  "RequestTimeoutError",
];

test("has the same for import, for require and for pages", () => {
  const required = createRequire(import.meta.url)("mod-websocket-jsonrpc");
  for (const exported of [imported, required, inOneFile]) assert.deepEqual(Object.keys(exported).sort(), names);
  assert.notEqual(required.JsonRpcClient, imported.JsonRpcClient);
});

test("has errors with names that minifying does not change", () => {
  for (const exported of [imported, inOneFile]) {
    for (const name of names.filter((each) => each.endsWith("Error"))) {
      const error = new exported[name](...(name === "JsonRpcError" ? [1, "m"] : ["m", "r"]));
      assert.equal(error.name, name);
      assert.ok(error instanceof Error);
    }
  }
  assert.throws(() => new imported.JsonRpcError("1", "m"), /the code of a JsonRpcError must be an integer, not 1/);
});

test("has no dependencies", () => {
  const description = createRequire(import.meta.url)("../package.json");
  assert.equal(description.dependencies, undefined);
  assert.equal(description.peerDependencies, undefined);
});

test("is installed from the file that README.md names", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "mod-websocket-jsonrpc-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const run = (program, ...words) => promisify(execFile)(program, words, { cwd: folder, timeout: 120_000 });
  // It has been built; scripts would do that again, while other tests use it.
  await run("npm", "pack", "--ignore-scripts", fileURLToPath(new URL("..", import.meta.url)));
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const [, file] = readme.match(/npm install .*\/(.*\.tgz)/);
  writeFileSync(join(folder, "package.json"), "{}");
  await run("npm", "install", "--offline", "--no-audit", "--no-fund", file);
  const show = "console.log(Object.keys(await import('mod-websocket-jsonrpc')).length)";
  const { stdout } = await run(process.execPath, "--input-type=module", "-e", show);
  assert.equal(Number(stdout), names.length);
});
