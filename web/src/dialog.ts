// Dialogs.

import { button, element } from "./dom";

/** Opens a dialog. `fill` gets a function that closes it. */
export function openDialog(title: string, fill: (close: () => void) => (Node | string)[]): HTMLDialogElement {
  return open(title, (close) => [...fill(close), element("p", { class: "end" }, button("Close", close))]);
}

/** Opens a dialog that asks before something is lost. `confirm` runs if the user chooses the button `label`. */
export function askFirst(title: string, texts: string[], label: string, confirm: () => void): void {
  open(title, (close) => {
    const confirmed = button(label, () => {
      close();
      confirm();
    }, { class: "danger" });
    // The first button has the focus: Enter loses nothing.
    return [...texts.map((text) => element("p", {}, text)), element("p", { class: "end" }, button("Cancel", close), " ", confirmed)];
  });
}

function open(title: string, fill: (close: () => void) => (Node | string)[]): HTMLDialogElement {
  const dialog = element("dialog", { "aria-label": title });
  dialog.append(element("h2", {}, title), ...fill(() => dialog.close()));
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
