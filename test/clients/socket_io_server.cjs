// SPDX-License-Identifier: Apache-2.0
// A server of socket.io, which begins with polling and goes on with a WebSocket. It prints its port. It echoes, with
// acknowledgements, and passes on to the members of a room. Usage: node socket_io_server.cjs
"use strict";

const http = require("node:http");
const { Server } = require("socket.io");

const server = http.createServer();
new Server(server, { maxHttpBufferSize: 1 << 24 }).on("connection", (socket) => {
    socket.on("echo", (data, reply) => reply(data));
    socket.on("join", (room, reply) => {
        socket.join(room);
        reply();
    });
    socket.on("say", (room, text) => socket.to(room).emit("said", text));
    socket.on("leave", () => socket.disconnect());
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
