import { connectionFailure, type Failure } from './failure.ts';

/** The meaning of a status of a service that speaks plain HTTP. `status` 0 or undefined: there was no answer. */
export function classifyStatus(thrown: unknown, status: number | undefined, reason: string): Failure {
  const known = connectionFailure(thrown);
  if (known) return known;
  if (status === 429) return { kind: 'throttled', reason };
  if (status === 401 || status === 403) return { kind: 'denied', reason };
  if (!status || status === 408 || status >= 500) return { kind: 'unavailable', reason };
  return { kind: 'refused', reason };
}

/** A body read to its end, or given up when the signal fires. */
export async function readBody(body: NodeJS.ReadableStream, stop: AbortSignal): Promise<Uint8Array> {
  const stream = body as NodeJS.ReadableStream & { destroy(error?: Error): void };
  const onStop = () => stream.destroy(stop.reason);
  stop.addEventListener('abort', onStop, { once: true });
  try {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of stream as AsyncIterable<Uint8Array>) {
      parts.push(part);
      length += part.length;
    }
    const whole = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  } finally {
    stop.removeEventListener('abort', onStop);
  }
}
