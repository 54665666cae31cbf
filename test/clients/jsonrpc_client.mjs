// SPDX-License-Identifier: Apache-2.0
// A JsonRpcClient that is told what to do. Each line of the input is {"n", "call", "arguments"}; what comes of it is
// printed as {"n", "result"} or {"n", "error"}. What happens besides is printed as {"event", "info"}.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [packageFolder, uri, configuration] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${packageFolder}/package.json`));
const { JsonRpcClient } = await import(pathToFileURL(`${packageFolder}/dist/esm/index.js`));
const { WebSocket } = require("ws");
const SockJS = require("sockjs-client");

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const report = (event) => (info) => print({ event, info: info instanceof Error ? described(info) : info });

function described(error) {
  const { name, code, message, data } = error;
  return { name, code, message, data };
}

const { ws, rpc, ...others } = JSON.parse(configuration ?? "{}");
const calls = { secondTime: 0 };
const happenings = ["onconnected", "onreconnected", "onreconnecting", "ondisconnect", "onerror"];
const client = new JsonRpcClient({
  ...others,
  ws: { uri, WebSocket, SockJS, ...ws, ...Object.fromEntries(happenings.map((name) => [name, report(name)])) },
  rpc: {
    ...rpc,
    event: report("event"),
    count: report("count"),
    double: ([number]) => number * 2,
    reply: (params, request) => request.reply(null, { got: params }),
    fail() {
      throw new Error("of the client");
    },
    never: () => {},
    secondTime: (params, request) => void (++calls.secondTime > 1 && request.success(calls.secondTime)),
  },
});

const commands = {
  send: (...given) => client.send(...given),
  notify: (...given) => client.notify(...given),
  reconnect: () => client.reconnect(),
  forceClose: (milliseconds) => client.forceClose(milliseconds),
  close: () => client.close(),
  look: () => ({ state: client.state, sessionId: client.sessionId, pendingRequests: client.pendingRequests }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { n, call, arguments: given } = JSON.parse(line);
  // Not awaited: one may wait while others go on.
  new Promise((resolve) => resolve(commands[call](...given))).then(
    (result) => print({ n, result: result ?? null }),
    (error) => print({ n, error: described(error) }),
  );
}
// Whoever gave commands has gone. A client that has been closed keeps nothing alive.
if (client.state !== "disconnected") await client.close();
