// SPDX-License-Identifier: Apache-2.0
// usage: jsonrpc_snippets.mjs PACKAGE PAGE SERVER: runs the programs of a page of Markdown against a server, and
// compares what they print with the comments there. Prints how many there were.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [packageFolder, page, server] = process.argv.slice(2);
const { snippets } = await import(pathToFileURL(`${packageFolder}/test/snippets.mjs`));

const found = snippets(readFileSync(page, "utf8"));
mkdirSync(`${packageFolder}/dist`, { recursive: true });
const folder = mkdtempSync(`${packageFolder}/dist/snippets-`); // where the package is found by its name
try {
  for (const [number, { heading, program, expected }] of found.entries()) {
    const file = `${folder}/${number}.mjs`;
    writeFileSync(file, program(server));
    const printed = execFileSync(process.execPath, [file], { encoding: "utf8", timeout: 120_000 });
    assert.deepEqual(printed.trim().split("\n").sort(), expected.sort(), heading);
  }
} finally {
  rmSync(folder, { recursive: true });
}
console.log(found.length);
