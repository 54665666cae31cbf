// SPDX-License-Identifier: Apache-2.0

const needsSocket = /WebSocket(?:,|: \w+) \}/;

/**
 * Programs in a page of Markdown. What one prints stands as a comment behind each console.log.
 * @returns {{heading: string, expected: string[], program: (server: string) => string}[]} program: the text for a
 * server, such as "ws://127.0.0.1:1"
 */
export function snippets(page) {
  const found = [];
  let heading = "";
  for (const [, title, code] of page.matchAll(/^#+ (.*)$|^```js\n([^]*?)^```$/gm)) {
    if (title !== undefined) {
      heading = title;
      continue;
    }
    const expected = [...code.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map(([, text]) => text);
    // In browsers and newer versions of Node it is there.
    const before = needsSocket.test(code) ? "" : 'import { WebSocket as W } from "ws";\nglobalThis.WebSocket ??= W;\n';
    const program = (server) => before + code.replaceAll("ws://localhost:8080", server);
    found.push({ heading, expected, program });
  }
  if (found.length === 0) throw new Error("no snippets");
  return found;
}
