// The address of the circle: that of the page, which a proxy may serve below a path.

const page = new URL(".", location.href);

/** The path of the page, which ends in a slash. Several circles can have one origin, each below a path of its own. */
export const pagePath = page.pathname;

/** The address of the circle's WebSocket. */
export const socketUrl = `${page.protocol === "https:" ? "wss" : "ws"}://${page.host}${page.pathname}`;

/** Returns the address of a document that the circle serves beside the page. */
export function besidePage(name: string): string {
  return new URL(name, page).href;
}
