// SPDX-License-Identifier: Apache-2.0
// JSON-RPC service on rpc-websockets (npm install rpc-websockets) with a method echo. Usage: node jsonrpc.js PORT
'use strict';

const { Server } = require('rpc-websockets');

const server = new Server({ host: '127.0.0.1', port: Number(process.argv[2]) });
server.register('echo', (params) => params);
