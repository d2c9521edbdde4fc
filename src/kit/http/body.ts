import type { IncomingMessage } from 'node:http';

/** The body is larger than its route takes. */
export class BodyTooLarge extends Error {}

/** The client went away, or sent less than it said. */
export class BodyIncomplete extends Error {}

/**
 * Takes in a body as it comes, not inflated. What it gives is alone in its `ArrayBuffer`, so that it can move to another
 * thread (Node's own buffers may share one with many others).
 */
export function readBody(from: IncomingMessage, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const announced = from.headers['content-length'];
  return announced === undefined ? readUnknown(from, bytesMax) : readKnown(from, Number(announced), bytesMax);
}

function readKnown(from: IncomingMessage, size: number, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    if (size > bytesMax) return reject(new BodyTooLarge());
    const body = Buffer.allocUnsafeSlow(size) as Uint8Array<ArrayBuffer>;
    let at = 0;
    from.on('data', (chunk: Buffer) => {
      body.set(chunk, at); // the parser lets no more through than was announced
      at += chunk.length;
    });
    from.once('end', () => (at === size ? resolve(body) : reject(new BodyIncomplete())));
    from.once('error', () => reject(new BodyIncomplete()));
  });
}

function readUnknown(from: IncomingMessage, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const take = (chunk: Buffer) => {
      size += chunk.length;
      if (size > bytesMax) {
        from.off('data', take);
        chunks.length = 0;
        reject(new BodyTooLarge());
      } else chunks.push(chunk);
    };
    from.on('data', take);
    from.once('error', () => reject(new BodyIncomplete()));
    from.once('end', () => {
      const body = Buffer.allocUnsafeSlow(size) as Uint8Array<ArrayBuffer>;
      let at = 0;
      for (const chunk of chunks) {
        body.set(chunk, at);
        at += chunk.length;
      }
      resolve(body);
    });
  });
}
