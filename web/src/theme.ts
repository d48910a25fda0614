// Light and dark: the system's choice, unless the user chooses.

import { byId } from "./dom";
import { store, stored } from "./store";

type Theme = "system" | "light" | "dark";

const THEMES: Theme[] = ["system", "light", "dark"];
const STORED = "circles.theme";

/** Applies the stored theme, and has the button change it. */
export function startTheme(): void {
  const button = byId("theme-button");
  let theme = THEMES.find((name) => name === stored(STORED)) ?? "system";
  const apply = () => {
    if (theme === "system") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
    button.textContent = theme === "system" ? "Theme" : theme === "dark" ? "Dark" : "Light";
    button.setAttribute("aria-label", `Theme: ${theme}`);
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!;
    store(STORED, theme);
    apply();
  });
  apply();
}
