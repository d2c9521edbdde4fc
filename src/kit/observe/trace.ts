import { AsyncLocalStorage } from 'node:async_hooks';

// The trace that a request is of, as its caller says: it stands in the logs and goes with what is asked of others for the request. Nothing
// here makes spans of its own.

/** A trace and the caller's span in it, as the header `traceparent` has them (W3C Trace Context). */
export type TraceParent = string;

const current = new AsyncLocalStorage<TraceParent>();
/** Version, trace, span, flags; a later version may have more behind them. */
const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;
const CHARS_MAX = 256;

/** Undefined where it is none, or names nothing: as the recommendation says, one goes on as if it were not there. */
export function traceParentOf(text: unknown): TraceParent | undefined {
  if (typeof text !== 'string' || text.length > CHARS_MAX) return undefined;
  const [, version, trace, span, more] = FORM.exec(text) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  return /^0+$/.test(trace!) || /^0+$/.test(span!) ? undefined : text;
}

/** The trace's id, as logs have it. */
export function traceIdOf(trace: TraceParent): string {
  return trace.split('-')[1]!;
}

/** Runs `work`, and all that it waits for, as part of a trace. */
export function withTrace<T>(trace: TraceParent | undefined, work: () => T): T {
  return trace === undefined ? work() : current.run(trace, work);
}

/** The trace of whatever runs. */
export function currentTrace(): TraceParent | undefined {
  return current.getStore();
}
