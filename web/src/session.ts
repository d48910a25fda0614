// The session on the circle that serves this page: connect, authenticate, connect again.

import { Circle, type Description } from "circles";
import { socketUrl } from "./address";
import { isCircleError, messageOf } from "./errors";
import type { NamedKey } from "./keys";
import { knownIdentity, rememberIdentity } from "./keys";

/** The first and the longest delay before another attempt, in milliseconds. */
const FIRST_DELAY = 500;
const LONGEST_DELAY = 15_000;
/** After so long a connection, the next attempt is quick again. */
const CALM = 60_000;
/** The error code of a key that may not play. */
const FORBIDDEN = -32003;

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
  private calm: ReturnType<typeof setTimeout> | undefined;
  private hasBeenConnected = false;
  /** Whether the last session could play, and so had something to lose. */
  private hadEnvironment = false;

  constructor(private readonly events: SessionEvents) {}

  /** Connects. Connects again by itself when the connection ends, unless another circle answers. */
  async connect(): Promise<void> {
    clearTimeout(this.timer);
    clearTimeout(this.calm);
    this.set("connecting", "");
    try {
      const circle = await Circle.connect(socketUrl, knownIdentity() ?? undefined);
      if (circle.identity.persistent) rememberIdentity(circle.identity.publicKey);
      circle.onNotice((notice) => this.onNotice(circle, notice));
      this.circle = circle;
      this.description = await circle.describe();
      if (this.key) await this.authenticate(this.key);
      // A circle that accepts and closes is not dialled twice a second.
      this.calm = setTimeout(() => (this.delay = FIRST_DELAY), CALM);
      this.set("connected", "");
      if (this.hasBeenConnected && this.hadEnvironment) this.events.note("connected again: the session is new, its variables and functions are gone");
      this.hasBeenConnected = true;
      this.hadEnvironment = this.description.you.admitted;
    } catch (error) {
      this.circle?.close();
      this.circle = null;
      if (isCircleError(error) && error.kind === "identity") return this.set("refused", error.message);
      if (isCircleError(error) && (error.kind === "credentials" || error.code === FORBIDDEN)) {
        return this.set("refused", `${error.message}: sign in with another key, or ask the operator`);
      }
      this.retry(messageOf(error));
    }
  }

  /** Authenticates with a key, and keeps it for the connections that follow. */
  async authenticate(key: NamedKey): Promise<void> {
    const isOther = this.key !== null && this.key.key.publicKey !== key.key.publicKey;
    if (isOther || this.state === "idle" || this.state === "refused") {
      // A session has one key.
      await this.signOut();
    }
    const circle = this.circle;
    if (!circle) throw new Error("there is no connection to the circle: wait until the page is connected again");
    await circle.authenticate(key.key);
    if (this.circle !== circle) throw new Error("the connection ended meanwhile: try again");
    this.key = key;
    this.description = await circle.describe();
    this.hadEnvironment = true;
    this.events.changed();
  }

  /** Forgets the key, and begins a session without one. */
  async signOut(): Promise<void> {
    const old = this.circle;
    this.circle = null;
    this.key = null;
    old?.close();
    if (this.hadEnvironment) this.events.note("a new session begins: the variables and functions are gone");
    this.hadEnvironment = false;
    await this.connect();
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
    clearTimeout(this.calm);
    // Pages do not all come back at once.
    const delay = this.delay * (0.5 + Math.random() / 2);
    this.set("lost", `${reason}; next attempt in ${Math.round(delay / 100) / 10} s`);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.connect(), delay);
    this.delay = Math.min(LONGEST_DELAY, this.delay * 2);
  }

  private set(state: State, reason: string): void {
    this.state = state;
    this.reason = reason;
    this.events.changed();
  }
}
