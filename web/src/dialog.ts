// Dialogs.

import { button, element } from "./dom";

/** Opens a dialog. `fill` gets a function that closes it. */
export function openDialog(title: string, fill: (close: () => void) => (Node | string)[]): HTMLDialogElement {
  const dialog = element("dialog", { "aria-label": title });
  const close = () => dialog.close();
  dialog.append(element("h2", {}, title), ...fill(close), element("p", { class: "end" }, button("Close", close)));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** A form that shows its progress and its error. `submit` may throw. */
export function form(label: string, fields: Node[], submit: () => Promise<void> | void): HTMLFormElement {
  const failure = element("p", { class: "failure", role: "alert" });
  const send = element("button", { type: "submit" }, label);
  const made = element("form", {}, ...fields, element("p", {}, send), failure);
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    failure.textContent = "";
    send.disabled = true;
    send.textContent = `${label}…`;
    Promise.resolve()
      .then(submit)
      .catch((error: unknown) => {
        failure.textContent = error instanceof Error ? error.message : String(error);
      })
      .finally(() => {
        send.disabled = false;
        send.textContent = label;
      });
  });
  return made;
}

/** A labelled field. */
export function field(label: string, attributes: Record<string, string | boolean>): { row: HTMLElement; input: HTMLInputElement } {
  const input = element("input", attributes);
  return { row: element("label", {}, element("span", {}, label), input), input };
}
