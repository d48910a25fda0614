// The circles and fake circles of one test of client_ws: what the page requests through `control`
// (client_ws/behaviour/src/control.rs has the requests).

import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocketServer } from "ws";

import { freePort, startCircle } from "./rig.mjs";

/** A queue whose reader waits. */
class Queue {
  items = [];
  readers = [];

  push(item) {
    const reader = this.readers.shift();
    if (reader) reader(item);
    else this.items.push(item);
  }

  next() {
    return this.items.length > 0 ? Promise.resolve(this.items.shift()) : new Promise((resolve) => this.readers.push(resolve));
  }
}

export class Control {
  home = mkdtempSync(join(tmpdir(), "circles-client-"));
  circles = new Map();
  servers = new Map();
  connections = [];

  /** Carries out a request and returns its reply, both as JSON. */
  async call(text) {
    const { request, ...parameters } = JSON.parse(text);
    return JSON.stringify((await this[request](parameters)) ?? {});
  }

  async serve({ port, options, persistent }) {
    port ??= await freePort();
    const identity = persistent ? ["--identity", join(this.home, "identity")] : [];
    this.circles.set(port, await startCircle(port, ...options, ...identity));
    return { port };
  }

  async kill({ port }) {
    await this.circles.get(port).kill();
    this.circles.delete(port);
  }

  async drain({ port }) {
    await this.circles.get(port).stop();
    this.circles.delete(port);
  }

  async listen() {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    await once(server, "listening");
    const accepted = new Queue();
    server.on("connection", (socket, request) => {
      const frames = new Queue();
      socket.on("message", (data) => frames.push({ text: String(data) }));
      socket.on("ping", () => frames.push("ping"));
      socket.on("close", () => frames.push("end"));
      // A client may close the connection before it has read everything.
      socket.on("error", () => {});
      this.connections.push({ socket, frames });
      accepted.push({ connection: this.connections.length - 1, host: request.headers.host });
    });
    const { port } = server.address();
    this.servers.set(port, { server, accepted });
    return { port };
  }

  unlisten({ port }) {
    this.servers.get(port).server.close();
  }

  accept({ port }) {
    return this.servers.get(port).accepted.next();
  }

  async receive({ connection }) {
    return { frame: await this.connections[connection].frames.next() };
  }

  send({ connection, text }) {
    this.connections[connection].socket.send(text);
  }

  sendLarge({ connection, kib }) {
    const message = (text) => JSON.stringify({ jsonrpc: "2.0", method: "later", params: { text } });
    this.send({ connection, text: message("x".repeat(kib * 1024 - message("").length)) });
  }

  sendBinary({ connection }) {
    this.connections[connection].socket.send(Buffer.alloc(0));
  }

  close({ connection, code, reason }) {
    this.connections[connection].socket.close(code, reason);
  }

  abort({ connection }) {
    this.connections[connection].socket.terminate();
  }

  /** Ends everything that the test has started. */
  async end() {
    for (const { socket } of this.connections) socket.terminate();
    for (const { server } of this.servers.values()) server.close();
    await Promise.all([...this.circles.values()].map((circle) => circle.kill()));
    rmSync(this.home, { recursive: true, force: true });
  }
}
