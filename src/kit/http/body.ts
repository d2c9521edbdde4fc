import type { IncomingMessage } from 'node:http';

/** The body is larger than its route takes. */
export class BodyTooLarge extends Error {}

/** The client went away, or sent less than it said. */
export class BodyIncomplete extends Error {}

/** A body that is announced with at most so many bytes has its room as soon as it begins, a larger one as it comes. */
const AT_ONCE_BYTES_MAX = 256 << 10;

interface BodyOptions {
  readonly bytesMax: number;
  /** Told of bytes as they arrive; throws where there is no room for them. */
  readonly take: (bytes: number) => void;
}

/**
 * Takes in a body as it comes, not inflated, in memory that grows with what has arrived and not with what was announced. What
 * it gives is alone in its `ArrayBuffer`, so that it can move to another thread (Node's own buffers may share one with many
 * others).
 * @throws BodyTooLarge, BodyIncomplete, and what `take` throws
 */
export function readBody(from: IncomingMessage, options: BodyOptions): Promise<Uint8Array<ArrayBuffer>> {
  const { bytesMax, take } = options;
  const length = from.headers['content-length'];
  const announced = length === undefined ? undefined : Number(length);
  return new Promise((resolve, reject) => {
    if (announced !== undefined && announced > bytesMax) return reject(new BodyTooLarge());
    const capacityMax = announced ?? bytesMax;
    let body = EMPTY;
    let at = 0;
    const fail = (reason: unknown) => {
      from.off('data', onData);
      body = EMPTY;
      reject(reason);
    };
    const onData = (chunk: Buffer) => {
      const end = at + chunk.length;
      if (end > capacityMax) return fail(new BodyTooLarge());
      try {
        take(chunk.length);
      } catch (thrown) {
        return fail(thrown);
      }
      if (end > body.length) body = grown(body, at, Math.min(capacityMax, Math.max(end, 2 * at, AT_ONCE_BYTES_MAX)));
      body.set(chunk, at);
      at = end;
    };
    from.on('data', onData);
    from.once('end', () => {
      if (announced !== undefined && at !== announced) return fail(new BodyIncomplete());
      // an empty one gets memory of its own too: whoever takes it may move it away
      resolve(at > 0 && at === body.length ? body : grown(body, at, at));
    });
    from.once('error', () => fail(new BodyIncomplete()));
  });
}

const EMPTY = Buffer.allocUnsafeSlow(0) as Bytes;

type Bytes = Uint8Array<ArrayBuffer>;

/** A copy of the first `used` bytes with room for `capacity`. */
function grown(body: Bytes, used: number, capacity: number): Bytes {
  const larger = Buffer.allocUnsafeSlow(capacity) as Bytes;
  larger.set(body.subarray(0, used));
  return larger;
}
