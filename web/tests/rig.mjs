// What the browser tests share: circles, an https proxy in front of circles, and a browser.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const PROGRAM = process.env.CIRCLES_PROGRAM ?? file("target/release/circles");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Longest wait for anything, in milliseconds: only a failing test waits so long. */
export const WAIT_TIMEOUT = 60_000;

/** Returns a port that is free now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Starts a circle and waits until it listens. */
export async function startCircle(port, ...options) {
  const name = options.includes("--name") ? [] : ["--name", "lab"];
  const child = spawn(PROGRAM, ["serve", ...name, "--port", String(port), ...options], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const started = new Promise((resolve, reject) => {
    const collect = (chunk) => {
      output += chunk;
      if (output.includes("ws://")) resolve();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("exit", () => reject(new Error(`the circle ended: ${output}`)));
  });
  await started;
  const end = (signal) =>
    new Promise((resolve) => {
      child.removeAllListeners("exit");
      child.on("exit", resolve);
      child.kill(signal);
    });
  return { port, url: `http://127.0.0.1:${port}/`, stop: () => end("SIGTERM"), kill: () => end("SIGKILL") };
}

/** Starts nginx with a certificate of its own in front of circles: their ports by the paths below which they are. */
export async function startProxy(port, circles) {
  const directory = mkdtempSync(join(tmpdir(), "circles-nginx-"));
  const made = spawnSync("openssl", [
    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", join(directory, "key.pem"), "-out", join(directory, "cert.pem"),
  ]);
  if (made.status !== 0) throw new Error(`openssl: ${made.stderr}`);
  writeFileSync(
    join(directory, "nginx.conf"),
    `daemon off; pid ${directory}/pid; error_log stderr warn; worker_processes 1;
     events {}
     http {
       access_log off;
       ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${directory}/${kind};`).join(" ")}
       server {
         listen 127.0.0.1:${port} ssl;
         ssl_certificate ${directory}/cert.pem; ssl_certificate_key ${directory}/key.pem;
         proxy_http_version 1.1;
         proxy_set_header Host $http_host;
         proxy_set_header X-Forwarded-For $remote_addr;
         proxy_set_header Upgrade $http_upgrade;
         proxy_set_header Connection $connection_upgrade;
         proxy_read_timeout 1h;
         ${Object.entries(circles).map(([path, circle]) => `location ${path} { proxy_pass http://127.0.0.1:${circle}/; }`).join("\n")}
       }
       map $http_upgrade $connection_upgrade { default upgrade; '' close; }
     }`,
  );
  const child = spawn("nginx", ["-p", directory, "-c", join(directory, "nginx.conf")], { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.on("data", (chunk) => (errors += chunk));
  for (let isUp = false; !isUp; ) {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${errors}`);
    isUp = await new Promise((resolve) => {
      const probe = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${port}`], { stdio: ["ignore", "ignore", "ignore"] });
      probe.on("exit", (code) => resolve(code === 0));
    });
  }
  return {
    url: `https://127.0.0.1:${port}/`,
    stop: () =>
      new Promise((resolve) => {
        child.on("exit", () => {
          rmSync(directory, { recursive: true, force: true });
          resolve();
        });
        child.kill("SIGTERM");
      }),
  };
}

/** Starts the browser. */
export function startBrowser() {
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--host-resolver-rules=MAP circle.test 127.0.0.1"], timeout: WAIT_TIMEOUT });
}

/** Returns the path of a file of the repository. */
export function file(name) {
  return fileURLToPath(new URL(`../../${name}`, import.meta.url));
}
