// A JSON-RPC server as one would write it with Node, ws and vm: each connection has a context of its own, in which it
// evaluates scripts. `vm` is no sandbox. With `--timeout`, an endless script ends after 30 seconds; without, it stops the
// server. The server prints its address, and ends with standard input.
'use strict';

const vm = require('node:vm');
const { WebSocketServer } = require('ws');

const options = process.argv.includes('--timeout') ? { timeout: 30000 } : {};

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 }, () => {
  const { address, port } = server.address();
  console.log(`${address}:${port}`);
});

server.on('connection', (socket) => {
  const send = (message) => socket.send(JSON.stringify({ jsonrpc: '2.0', ...message }));
  const print = (text) => send({ method: 'play.output', params: { text: String(text) } });
  const context = vm.createContext({ print });
  socket.on('error', () => {});
  socket.on('message', (data) => {
    const { id, params: [script] } = JSON.parse(data);
    try {
      send({ id, result: { value: vm.runInContext(script, context, options) } });
    } catch (error) {
      send({ id, error: { code: -32000, message: String(error) } });
    }
  });
});

process.stdin.on('end', () => process.exit()).resume();
