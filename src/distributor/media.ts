import type { PushRequest } from '../contract/push.ts';
import { writeErrors } from '../model/errors-write.ts';

const V1 = 'prometheus.WriteRequest';
const V2 = 'io.prometheus.write.v2.Request';

/**
 * Which message the headers announce. They are judged before the body is looked at.
 * @throws unsupportedMedia, unsupportedEncoding (415)
 */
export function mediaOf(headers: PushRequest['headers']): 'v1' | 'v2' {
  const type = headers['content-type'];
  let version: 'v1' | 'v2' = 'v1';
  if (type !== undefined && type.trim() !== '') {
    const [media, ...parameters] = type.split(';').map((part) => part.trim());
    if (media!.toLowerCase() !== 'application/x-protobuf') {
      throw writeErrors.unsupportedMedia({ type, want: 'application/x-protobuf' });
    }
    for (const parameter of parameters) {
      const [name, value] = parameter.split('=', 2).map((part) => part.trim());
      if (name?.toLowerCase() !== 'proto') continue;
      const message = value?.replace(/^"(.*)"$/, '$1');
      if (message === V2) version = 'v2';
      else if (message !== V1) throw writeErrors.unsupportedMedia({ type, want: `proto=${V1} or proto=${V2}` });
    }
  }
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== '' && encoding.trim().toLowerCase() !== 'snappy') {
    throw writeErrors.unsupportedEncoding({ encoding, want: 'snappy' });
  }
  return version;
}
