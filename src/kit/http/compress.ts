import { promisify } from 'node:util';
import { constants, gzip, zstdCompress } from 'node:zlib';

export type Encoding = 'gzip' | 'zstd';

/** What the client would rather have; of equals zstd, which costs a third of the time. */
export function acceptedEncoding(header: string | undefined): Encoding | undefined {
  if (header === undefined) return undefined;
  let best: Encoding | undefined;
  let bestWeight = 0;
  for (const part of header.toLowerCase().split(',')) {
    const [name = '', ...params] = part.split(';').map((piece) => piece.trim());
    if (name !== 'gzip' && name !== 'zstd') continue;
    const weight = Number(params.find((param) => param.startsWith('q='))?.slice(2) ?? 1);
    if (weight > bestWeight || (weight === bestWeight && weight > 0 && name === 'zstd')) {
      best = name;
      bestWeight = weight;
    }
  }
  return best;
}

const gzipAsync = promisify(gzip);
const zstdAsync = promisify(zstdCompress);

/** Runs in the thread pool, not on the event loop. */
export function compress(body: string | Uint8Array, encoding: Encoding): Promise<Buffer> {
  return encoding === 'gzip'
    ? gzipAsync(body, { level: 1 })
    : zstdAsync(body, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
}
