// SPDX-License-Identifier: Apache-2.0
// Compiled, not run: what the types allow, and what they do not.

import { JsonRpcClient, JsonRpcError, ReconnectingWebSocket, type Configuration } from "mod-websocket-jsonrpc";
import type { CloseInfo, ReconnectedInfo, ServerRequest } from "mod-websocket-jsonrpc";

const configuration: Configuration = {
  heartbeat: 5000,
  ws: {
    uri: "ws://localhost/",
    onreconnected: ({ sameSession }) => void (sameSession satisfies boolean),
    ondisconnect: (info) => void (info satisfies CloseInfo),
  },
  rpc: {
    requestTimeout: 1000,
    treeStopped(params, request) {
      request.reply(null, params);
    },
    sum: ([a, b]: [number, number]) => a + b,
    later: async (_params, request: ServerRequest) => request.id,
  },
};

export async function use(): Promise<number> {
  const client = new JsonRpcClient(configuration);
  const sum: number = await client.send<number>("sum", [1, 2], { timeout: 10, retries: 2 });
  client.send("echo", {}, (error, result) => {
    if (error instanceof JsonRpcError) return error.code;
    return result;
  });
  client.send("echo", (error: Error | null) => error);
  client.notify("note");
  const info: CloseInfo = await client.close(1000, "bye");
  return sum + info.code;
}

export const onreconnected = ({ sessionId }: ReconnectedInfo): string => sessionId ?? "none";

export function misuse(client: JsonRpcClient): void {
  // @ts-expect-error an option that there is not
  new JsonRpcClient({ ws: { uri: "ws://localhost/" }, hearbeat: 5000 });
  // @ts-expect-error no address
  new JsonRpcClient({ ws: {} });
  // @ts-expect-error params are an object or an array
  void client.send("m", 5);
  // @ts-expect-error a method is a function
  client.register("m", 5);
  // @ts-expect-error the state is read
  client.state = "connected";
  // @ts-expect-error time for tests is no part of the interface
  new JsonRpcClient(configuration, undefined);
  // @ts-expect-error an option that there is not
  new ReconnectingWebSocket("ws://localhost/", { retries: 1 });
}
