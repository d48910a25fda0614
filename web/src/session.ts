// The session on the circle that serves this page: connect, authenticate, connect again.

import { Circle, type Description } from "circles";
import { isCircleError, messageOf } from "./errors";
import type { NamedKey } from "./keys";
import { knownIdentity, rememberIdentity } from "./keys";

/** The first and the longest delay before another attempt, in milliseconds. */
const FIRST_DELAY = 500;
const LONGEST_DELAY = 15_000;

/** `idle`: the circle closed the connection because nobody had signed in; the next input or key connects again. */
export type State = "connecting" | "connected" | "idle" | "lost" | "refused";

/** What the session tells the page. */
export interface SessionEvents {
  changed(): void;
  note(text: string): void;
}

export class Session {
  circle: Circle | null = null;
  description: Description | null = null;
  key: NamedKey | null = null;
  state: State = "connecting";
  reason = "";
  private delay = FIRST_DELAY;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private hasBeenConnected = false;
  /** Whether the last session could play, and so had something to lose. */
  private hadEnvironment = false;

  constructor(private readonly events: SessionEvents) {}

  /** Connects. Connects again by itself when the connection ends, unless another circle answers. */
  async connect(): Promise<void> {
    clearTimeout(this.timer);
    this.set("connecting", "");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    try {
      const circle = await Circle.connect(`${scheme}://${location.host}/`, knownIdentity() ?? undefined);
      if (circle.identity.persistent) rememberIdentity(circle.identity.publicKey);
      circle.onNotice((notice) => this.onNotice(circle, notice));
      this.circle = circle;
      this.description = await circle.describe();
      if (this.key) await this.authenticate(this.key);
      this.delay = FIRST_DELAY;
      this.set("connected", "");
      if (this.hasBeenConnected && this.hadEnvironment) this.events.note("connected again: the session is new, its variables and functions are gone");
      this.hasBeenConnected = true;
      this.hadEnvironment = this.description.you.admitted;
    } catch (error) {
      this.circle?.close();
      this.circle = null;
      if (isCircleError(error) && error.kind === "identity") return this.set("refused", error.message);
      if (isCircleError(error) && error.kind === "credentials") this.key = null;
      this.retry(messageOf(error));
    }
  }

  /** Authenticates with a key, and keeps it for the connections that follow. */
  async authenticate(key: NamedKey): Promise<void> {
    if (this.state === "idle") await this.connect();
    if (!this.circle) throw new Error("there is no connection to the circle: wait until the page is connected again");
    await this.circle.authenticate(key.key);
    this.key = key;
    this.description = await this.circle.describe();
    this.hadEnvironment = true;
    this.events.changed();
  }

  private onNotice(circle: Circle, notice: { kind: string; reason?: string; error?: Error }): void {
    if (this.circle !== circle) return;
    if (notice.kind === "environmentLost") {
      this.events.note(`the environment was lost (${notice.reason ?? "unknown reason"}): its variables and functions are gone`);
      this.events.changed();
      return;
    }
    this.circle = null;
    const reason = notice.error?.message ?? "the connection ended";
    // A circle gives strangers half a minute. To connect again and again would keep one of its places for nobody.
    if (!this.key && this.description?.you.admitted === false) return this.set("idle", "not connected: sign in with a key");
    this.retry(reason);
  }

  private retry(reason: string): void {
    const seconds = Math.round(this.delay / 100) / 10;
    this.set("lost", `${reason}; next attempt in ${seconds} s`);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.connect(), this.delay);
    this.delay = Math.min(LONGEST_DELAY, this.delay * 2);
  }

  private set(state: State, reason: string): void {
    this.state = state;
    this.reason = reason;
    this.events.changed();
  }
}
