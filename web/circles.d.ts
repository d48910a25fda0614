/* tslint:disable */
/* eslint-disable */

/** The identity of a circle, verified by its signature. */
export interface Identity {
    /** The circle's public key, 33 bytes compressed, as hex. */
    publicKey: string;
    /** Whether the circle keeps the key at this address. An ephemeral identity ends with the circle's process. */
    persistent: boolean;
}

/** The result of a play. */
export interface PlayResult {
    /** The value as text, as `print` would show it; empty for `()`. */
    output: string;
    /** Rhai's name for the value's type. */
    type: string;
    /** The value as JSON text: integers have up to 64 bits, which `JSON.parse` would round. */
    json: string;
    /** The duration in microseconds, including time spent waiting. */
    elapsedUs: number;
    /** The number of operations, as Rhai counts them. */
    operations: number;
}

/** What a running play reports. */
export type PlayEvent =
| { kind: "output"; text: string; stream: "print" | "debug" }
| { kind: "dropped"; count: number }
| { kind: "progress"; operations: number; elapsedUs: number; done: number | null; total: number | null; text: string | null };

/** The settings of a play. */
export interface PlayOptions {
    /** A name of the script for tracebacks. */
    name?: string;
    /** A time limit in milliseconds that can shorten the circle's own. */
    timeoutMs?: number;
    /** The name of a variable to which the circle also assigns the value. */
    bind?: string;
}

/** The candidates for the text at a cursor. */
export interface Completions {
    /** Where the word begins, in Unicode scalar values. */
    start: number;
    candidates: { text: string; kind: string; detail: string }[];
}

/** The variables and script functions of the session. */
export interface Scope {
    variables: { name: string; type: string; output?: string; length?: number; constant: boolean }[];
    functions: { name: string; params: string[] }[];
}

/** The documentation of a function. */
export interface FunctionDoc {
    signature: string;
    doc: string;
    origin: string;
}

/** A circle's description of itself. */
export interface Description {
    name: string;
    description?: string;
    version: string;
    protocol: number;
    access: string;
    you: { public_key?: string; admitted: boolean };
    /** True if the circle itself serves TLS. */
    tls?: boolean;
    limits: Record<string, number>;
}

/** The error that a rejected promise has. */
export interface CircleError extends Error {
    name: "CircleError";
    /** What failed: the connection could not be made or was refused, it ended, the circle's identity or the key was not
     * accepted, the circle answered with an error, or the call was wrong. */
    kind: "unreachable" | "lost" | "identity" | "credentials" | "rpc" | "usage";
    /** The error code of the circle's answer. */
    code?: number;
    /** The `data` of the circle's answer. */
    data?: any;
}



/**
 * A session on a circle.
 */
export class Circle {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Authenticates the session with a key.
     */
    authenticate(key: Key): Promise<void>;
    /**
     * Closes the connection. The circle cancels the plays of the session.
     */
    close(): void;
    /**
     * Requests completions at a cursor, which is a count of Unicode scalar values from the start of the script.
     */
    complete(script: string, cursor: number): Promise<Completions>;
    /**
     * Connects to the circle at a `ws://` or `wss://` URL, and verifies its identity before anything else is sent. With
     * an expected identity (a public key as hex), another circle is refused. Without one, every valid identity is
     * accepted: show it to the user.
     */
    static connect(url: string, expected_identity?: string | null): Promise<Circle>;
    /**
     * Requests the circle's description of itself and of the caller.
     */
    describe(): Promise<Description>;
    /**
     * Requests the documentation of the functions with a name.
     */
    lookup(name: string): Promise<FunctionDoc[]>;
    /**
     * Calls back when the environment is lost between plays, and once when the connection ends.
     */
    onNotice(on_notice: (notice: { kind: 'environmentLost', reason: string } | { kind: 'ended', error: CircleError }) => void): void;
    /**
     * Replaces the session's environment with a fresh one, after the plays before it.
     */
    reset(): Promise<void>;
    /**
     * Requests the variables and script functions of the session.
     */
    scope(): Promise<Scope>;
    /**
     * Sends a script, and calls back with what it prints and how far it is.
     */
    start(script: string, options: PlayOptions | undefined, on_event: (event: PlayEvent) => void): Promise<RunningPlay>;
    /**
     * Whether the connection is there, as far as the client knows.
     */
    readonly connected: boolean;
    /**
     * The verified identity of the circle.
     */
    readonly identity: Identity;
}

/**
 * A keypair. It lives in the memory of the page.
 */
export class Key {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The secret key as 64 hex digits. Anyone who has them is this key.
     */
    exportSecret(): string;
    /**
     * Reads a key from its 64 hex digits.
     */
    static fromSecret(digits: string): Key;
    /**
     * Makes a new key from the browser's random source.
     */
    static generate(): Key;
    /**
     * Decrypts the text of a key file. Blocks for as long as the file's work factor takes: call it in a worker.
     */
    static open(text: string, passphrase: string): Key;
    /**
     * Encrypts the key with a passphrase, in the format of the keystore: the text of a key file. Blocks for a second or
     * so: call it in a worker.
     */
    seal(passphrase: string): string;
    /**
     * The public key: 33 bytes compressed, as hex.
     */
    readonly publicKey: string;
}

/**
 * A play that was sent.
 */
export class RunningPlay {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Cancels the play. Returns false if the play had already ended.
     */
    cancel(): Promise<boolean>;
    /**
     * Waits for the result, once.
     */
    result(): Promise<PlayResult>;
}

/**
 * Returns the public key that the text of a key file names, unverified, if some passphrase can open the file.
 */
export function keyFilePublicKey(text: string): string;

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly __wbg_circle_free: (a: number, b: number) => void;
    readonly __wbg_key_free: (a: number, b: number) => void;
    readonly __wbg_runningplay_free: (a: number, b: number) => void;
    readonly circle_authenticate: (a: number, b: number) => any;
    readonly circle_close: (a: number) => void;
    readonly circle_complete: (a: number, b: number, c: number, d: number) => any;
    readonly circle_connect: (a: number, b: number, c: number, d: number) => any;
    readonly circle_connected: (a: number) => number;
    readonly circle_describe: (a: number) => any;
    readonly circle_identity: (a: number) => any;
    readonly circle_lookup: (a: number, b: number, c: number) => any;
    readonly circle_onNotice: (a: number, b: any) => void;
    readonly circle_reset: (a: number) => any;
    readonly circle_scope: (a: number) => any;
    readonly circle_start: (a: number, b: number, c: number, d: any, e: any) => any;
    readonly keyFilePublicKey: (a: number, b: number) => [number, number, number, number];
    readonly key_exportSecret: (a: number) => [number, number];
    readonly key_fromSecret: (a: number, b: number) => [number, number, number];
    readonly key_generate: () => [number, number, number];
    readonly key_open: (a: number, b: number, c: number, d: number) => [number, number, number];
    readonly key_publicKey: (a: number) => [number, number];
    readonly key_seal: (a: number, b: number, c: number) => [number, number, number, number];
    readonly runningplay_cancel: (a: number) => any;
    readonly runningplay_result: (a: number) => any;
    readonly rustsecp256k1_v0_14_context_create: (a: number) => number;
    readonly rustsecp256k1_v0_14_context_destroy: (a: number) => void;
    readonly rustsecp256k1_v0_14_default_error_callback_fn: (a: number, b: number) => void;
    readonly rustsecp256k1_v0_14_default_illegal_callback_fn: (a: number, b: number) => void;
    readonly wasm_bindgen__convert__closures_____invoke__h045416276051e7ff: (a: number, b: number, c: any, d: any) => void;
    readonly wasm_bindgen__convert__closures_____invoke__h70be7414b7b87cb3: (a: number, b: number, c: any) => [number, number];
    readonly wasm_bindgen__convert__closures_____invoke__h9ab22aed4f496d0d: (a: number, b: number, c: any) => void;
    readonly wasm_bindgen__convert__closures_____invoke__h9ab22aed4f496d0d_24: (a: number, b: number, c: any) => void;
    readonly wasm_bindgen__convert__closures_____invoke__h9ab22aed4f496d0d_25: (a: number, b: number, c: any) => void;
    readonly wasm_bindgen__convert__closures_____invoke__h2388ea4e21e6667d: (a: number, b: number) => void;
    readonly wasm_bindgen__convert__closures_____invoke__h7e7818d5d48dbbc2: (a: number, b: number) => void;
    readonly __wbindgen_malloc: (a: number, b: number) => number;
    readonly __wbindgen_realloc: (a: number, b: number, c: number, d: number) => number;
    readonly __wbindgen_free: (a: number, b: number, c: number) => void;
    readonly __wbindgen_exn_store: (a: number) => void;
    readonly __externref_table_alloc: () => number;
    readonly __wbindgen_externrefs: WebAssembly.Table;
    readonly __wbindgen_destroy_closure: (a: number, b: number) => void;
    readonly __externref_table_dealloc: (a: number) => void;
    readonly __wbindgen_start: () => void;
}

export type SyncInitInput = BufferSource | WebAssembly.Module;

/**
 * Instantiates the given `module`, which can either be bytes or
 * a precompiled `WebAssembly.Module`.
 *
 * @param {{ module: SyncInitInput }} module - Passing `SyncInitInput` directly is deprecated.
 *
 * @returns {InitOutput}
 */
export function initSync(module: { module: SyncInitInput } | SyncInitInput): InitOutput;

/**
 * If `module_or_path` is {RequestInfo} or {URL}, makes a request and
 * for everything else, calls `WebAssembly.instantiate` directly.
 *
 * @param {{ module_or_path: InitInput | Promise<InitInput> }} module_or_path - Passing `InitInput` directly is deprecated.
 *
 * @returns {Promise<InitOutput>}
 */
export default function __wbg_init (module_or_path?: { module_or_path: InitInput | Promise<InitInput> } | InitInput | Promise<InitInput>): Promise<InitOutput>;
