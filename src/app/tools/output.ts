import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';

/** A file to be written; what goes wrong is thrown by `print` and `end`. */
export function outputFile(path: string): Writable {
  return createWriteStream(path, { flush: true }).on('error', () => {});
}

/** Writes and waits where the reader is slow. @throws what went wrong with the output so far */
export async function print(output: Writable, text: string | Uint8Array): Promise<void> {
  if (output.errored) throw output.errored;
  if (output.write(text)) return;
  await settled(output, 'drain');
}

/** Resolves when all that was written is on disk. */
export async function end(output: Writable): Promise<void> {
  if (output.errored) throw output.errored;
  output.end();
  await settled(output, 'close');
}

function settled(output: Writable, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      output.off('error', failed);
      resolve();
    };
    const failed = (error: Error) => {
      output.off(event, done);
      reject(error);
    };
    output.once(event, done);
    output.once('error', failed);
  });
}
