/** A write as it came off HTTP: still compressed, not yet looked into. */
export interface PushRequest {
  readonly tenant: string;
  /** Lower-case names: `content-type`, `content-encoding`, `user-agent`, `x-prometheus-remote-write-version`. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Handed over: the caller does not use it again. */
  readonly body: Uint8Array;
}

/** `text` is empty on success. */
export interface PushResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** Takes writes. Never rejects: what goes wrong is a status. */
export interface PushBackend {
  push(request: PushRequest, signal: AbortSignal): Promise<PushResponse>;
}
