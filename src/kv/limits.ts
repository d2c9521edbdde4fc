import { kvErrors } from '../model/errors-kv.ts';
import { KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX } from './client.ts';

/** @throws errors.kvTooLarge */
export function checkEntry(backend: string, key: string, value: Uint8Array): void {
  const keyBytes = Buffer.byteLength(key);
  if (keyBytes === 0 || keyBytes > KV_KEY_BYTES_MAX) {
    throw kvErrors.kvTooLarge({ backend, part: 'key', bytes: keyBytes, limitBytes: KV_KEY_BYTES_MAX });
  }
  if (value.length > KV_VALUE_BYTES_MAX) {
    throw kvErrors.kvTooLarge({ backend, part: 'value', bytes: value.length, limitBytes: KV_VALUE_BYTES_MAX });
  }
}
