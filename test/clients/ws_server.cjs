// SPDX-License-Identifier: Apache-2.0
// An echo with the server of the npm package `ws`. It prints its port. Usage: node ws_server.cjs
"use strict";

const { WebSocketServer } = require("ws");

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: { threshold: 0 } });
server.on("connection", (socket) => socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })));
server.on("listening", () => console.log(server.address().port));
