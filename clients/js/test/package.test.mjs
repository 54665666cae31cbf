// SPDX-License-Identifier: Apache-2.0
// The package as others get it.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
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
