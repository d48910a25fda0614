// The pane of variables and functions.

import type { Circle } from "circles";
import { button, byId, element, visible } from "./dom";

const MAX_SHOWN = 500;

export class Variables {
  private readonly pane = byId("variables");
  private readonly toggle = byId("variables-button");

  constructor(private readonly circle: () => Circle | null, private readonly reset: () => void) {
    this.toggle.addEventListener("click", () => this.show(this.pane.hidden !== false));
    // A wide screen has room for them.
    if (matchMedia("(min-width: 70rem)").matches) this.show(true);
  }

  private show(isShown: boolean): void {
    this.pane.hidden = !isShown;
    this.toggle.setAttribute("aria-expanded", String(isShown));
    void this.refresh();
  }

  /** Requests them again, if they are shown. */
  async refresh(): Promise<void> {
    if (this.pane.hidden) return;
    const scope = await this.circle()?.scope().catch(() => null);
    if (!scope) {
      this.pane.replaceChildren(element("h2", {}, "Variables"), element("p", { class: "quiet" }, "not available"));
      return;
    }
    const variables = scope.variables.slice(-MAX_SHOWN).reverse();
    this.pane.replaceChildren(
      element("h2", {}, "Variables"),
      variables.length === 0 ? element("p", { class: "quiet" }, "none yet: let x = 42") : element(
        "dl",
        {},
        ...variables.flatMap((variable) => [
          element("dt", {}, visible(variable.name), " ", element("span", { class: "quiet" }, visible(variable.type) + (variable.constant ? ", const" : ""))),
          element("dd", {}, visible(variable.output ?? (variable.length === undefined ? "" : `${variable.length} items`))),
        ]),
      ),
      scope.functions.length > 0 && element("h2", {}, "Functions") || "",
      element("ul", {}, ...scope.functions.slice(0, MAX_SHOWN).map((made) => element("li", {}, visible(`${made.name}(${made.params.join(", ")})`)))),
      element("p", {}, button("Reset the session", this.reset)),
    );
  }
}
