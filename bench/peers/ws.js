// Echo server on ws (npm install ws), without compression. Usage: node ws.js PORT [CERTIFICATE KEY]
'use strict';

const { readFileSync } = require('fs');
const http = require('http');
const https = require('https');
const { WebSocketServer } = require('ws');

const [port, cert, key] = process.argv.slice(2);
const listener = cert
  ? https.createServer({ cert: readFileSync(cert), key: readFileSync(key) })
  : http.createServer();
listener.listen({ host: '127.0.0.1', port: Number(port), backlog: 1024 });
const server = new WebSocketServer({
  server: listener,
  perMessageDeflate: false,
  maxPayload: 64 * 1024 * 1024,
});
server.on('connection', (socket) => {
  socket.on('message', (data, binary) => socket.send(data, { binary }));
  socket.on('error', () => {});
});
