// The worker that turns passphrases into keys: it takes seconds, and memory that ends with the worker.

import init, { Key } from "circles";

export type KeyTask = { task: "open"; text: string; passphrase: string } | { task: "seal"; secret: string; passphrase: string };
export type KeyAnswer = { result: string } | { failure: string };

addEventListener("message", (message: MessageEvent<KeyTask>) => {
  const answer = (value: KeyAnswer) => postMessage(value);
  work(message.data).then(
    (result) => answer({ result }),
    (error: unknown) => {
      const isTooLarge = error instanceof WebAssembly.RuntimeError;
      const message = error instanceof Error ? error.message : String(error);
      answer({ failure: isTooLarge ? "the browser has not enough memory for this key file: change its passphrase with circles keys passwd, which makes a smaller one" : message });
    },
  );
});

async function work(task: KeyTask): Promise<string> {
  await init({ module_or_path: new URL("client.wasm", import.meta.url) });
  if (task.task === "open") return Key.open(task.text, task.passphrase).exportSecret();
  return Key.fromSecret(task.secret).seal(task.passphrase);
}
