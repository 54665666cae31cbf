// Echo server on ws (npm install ws). Usage: node ws.js PORT [off|shared|dedicated] [CERTIFICATE KEY].
// The word is about compression: none, every message for itself, or each connection with a context of
// its own, with the settings that are the module's defaults.
'use strict';

const { readFileSync } = require('fs');
const http = require('http');
const https = require('https');
const { WebSocketServer } = require('ws');

const shared = {
  threshold: 256,
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  zlibDeflateOptions: { level: 1, memLevel: 8 },
};
const dedicated = {
  threshold: 256,
  serverMaxWindowBits: 12,
  clientMaxWindowBits: 12,
  zlibDeflateOptions: { level: 1, memLevel: 5 },
};

const modes = { off: false, shared, dedicated };
const args = process.argv.slice(2);
const perMessageDeflate = args[1] in modes ? modes[args.splice(1, 1)[0]] : false;
const [port, cert, key] = args;
const listener = cert
  ? https.createServer({ cert: readFileSync(cert), key: readFileSync(key) })
  : http.createServer();
listener.listen({ host: '127.0.0.1', port: Number(port), backlog: 1024 });
const server = new WebSocketServer({
  server: listener,
  perMessageDeflate,
  maxPayload: 64 * 1024 * 1024,
});
server.on('connection', (socket) => {
  socket.on('message', (data, binary) => socket.send(data, { binary }));
  socket.on('error', () => {});
});
