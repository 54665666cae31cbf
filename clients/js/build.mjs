// SPDX-License-Identifier: Apache-2.0
// Makes dist: modules for import and for require with their types, and one small file for pages.

import { execFileSync } from "node:child_process";
import { copyFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

process.chdir(fileURLToPath(new URL(".", import.meta.url)));
rmSync("dist", { recursive: true, force: true });

// dist/esm, with all types
const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
execFileSync(process.execPath, [tsc, "-p", "."], { stdio: "inherit" });

// dist/cjs: package.json there makes CommonJS of what is below, of the same types, too.
const sources = readdirSync("src").filter((name) => !name.endsWith(".d.ts"));
buildSync({
  entryPoints: sources.map((name) => `src/${name}`),
  outdir: "dist/cjs",
  format: "cjs",
  target: "es2022",
  sourcemap: true,
  sourcesContent: false,
});
writeFileSync("dist/cjs/package.json", '{ "type": "commonjs" }\n');
for (const name of sources.map((source) => source.replace(/\.ts$/, ".d.ts"))) {
  copyFileSync(`dist/esm/${name}`, `dist/cjs/${name}`);
}

buildSync({
  entryPoints: ["src/index.ts"],
  outfile: "dist/browser.js",
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  sourcemap: true,
  sourcesContent: false, // src is in the package
  banner: { js: "/* mod-websocket-jsonrpc, SPDX-License-Identifier: Apache-2.0 */" },
});
