// SPDX-License-Identifier: Apache-2.0
// A server of socket.io, which begins with polling and goes on with a WebSocket. It prints its port. It echoes, with
// acknowledgements, and passes on to the members of a room. Usage: node socket_io_server.cjs
"use strict";

const http = require("node:http");
const { Server } = require("socket.io");

const server = http.createServer();
// A poll is answered within httpd's Timeout; how slow a machine is, is no reason to give a client up.
const options = { maxHttpBufferSize: 1 << 24, pingInterval: 5000, pingTimeout: 600000 };
new Server(server, options).on("connection", (socket) => {
    socket.on("echo", (data, reply) => reply(data));
    socket.on("join", (room, reply) => {
        socket.join(room);
        reply();
    });
    socket.on("say", (room, text) => socket.to(room).emit("said", text));
    socket.on("leave", () => socket.disconnect());
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
