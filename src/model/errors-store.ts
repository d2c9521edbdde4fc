import { catalogue } from './errors.ts';

/** A request to a store. `table` is a table, a bucket or a folder; it is left out where the request is about all of them. */
interface StoreCall {
  readonly backend: string;
  readonly operation: string;
  readonly table?: string;
  readonly key?: string;
}

/** `cassandra write on table_1` */
function call(v: StoreCall): string {
  return `${v.backend} ${v.operation}${v.table === undefined ? '' : ` on ${v.table}`}${v.key === undefined ? '' : ` of ${v.key}`}`;
}

/** Errors of stores, and of what lies in them. */
export const storeErrors = catalogue({
  storeUnavailable: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: StoreCall & { reason: string; tries: number }) =>
      `${call(v)} failed after ${v.tries} ${v.tries === 1 ? 'try' : 'tries'}: ${v.reason}`,
  },
  storeThrottled: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: StoreCall & { tries: number }) =>
      `${call(v)} was throttled ${v.tries} ${v.tries === 1 ? 'time' : 'times'} in a row; the store needs more capacity`,
  },
  storeDenied: {
    http: 500,
    promType: 'internal',
    retry: true, // once an operator has put the rights or credentials right
    text: (v: StoreCall & { reason: string }) => `${call(v)} was denied: ${v.reason}`,
  },
  storeRefused: {
    http: 500,
    promType: 'internal',
    retry: false,
    text: (v: StoreCall & { reason: string }) => `${call(v)} was refused as invalid: ${v.reason}`,
  },
  storeFull: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: StoreCall) => `${call(v)} failed: no space is left`,
  },
  storeFileDamaged: {
    http: 500,
    promType: 'internal',
    retry: true, // once an operator has put the file right
    text: (v: StoreCall & { file: string; reason: string }) =>
      `${call(v)} failed: the file ${v.file} is damaged: ${v.reason}; restore it from a backup, or move it away and lose what it held`,
  },
  storeTableMissing: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { backend: string; operation: string; table: string }) => `${call(v)} failed: there is no such table`,
  },
  storeRowTooLarge: {
    http: 500,
    promType: 'internal',
    retry: false,
    text: (v: { backend: string; table: string; part: 'key' | 'value'; bytes: number; limitBytes: number }) =>
      `a row's ${v.part} of ${v.bytes} bytes for table ${v.table} is over the ${v.limitBytes} bytes that ${v.backend} holds`,
  },
  storeClosed: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { backend: string }) => `the ${v.backend} store is closed`,
  },
  rowCorrupt: {
    http: 500,
    promType: 'internal',
    retry: false,
    text: (v: { name: string; reason: string }) => `index row ${v.name} is damaged: ${v.reason}`,
  },
  documentChanged: {
    http: 409,
    promType: 'execution',
    retry: false,
    text: (v: { kind: string; name: string; expected: number; found: number | undefined }) =>
      v.found === undefined
        ? `${v.kind} ${JSON.stringify(v.name)} is changed by others all the time`
        : `${v.kind} ${JSON.stringify(v.name)} was changed meanwhile: version ${v.expected} was expected, ${v.found} is there`,
  },
  documentTooLarge: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { kind: string; part: string; bytes: number; limitBytes: number }) =>
      `the ${v.part} of a document of kind ${v.kind} is too large: ${v.bytes}, limit ${v.limitBytes}`,
  },
  documentsTooMany: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { tenant: string; kind: string; limit: number }) =>
      `tenant ${v.tenant} has ${v.limit} documents of kind ${v.kind}, those that were deleted included: there can be no more`,
  },
  groupCorrupt: {
    http: 500,
    promType: 'internal',
    retry: false,
    text: (v: { name: string; part: string; reason: string }) =>
      `chunk group ${v.name} is damaged: ${v.part}: ${v.reason}`,
  },
  objectNotFound: {
    http: 500, // a row names an object: that it is gone is the store's fault, not the request's
    promType: 'internal',
    retry: true,
    text: (v: { backend: string; key: string }) => `object ${v.key} is not in the ${v.backend} store`,
  },
  chunkCorrupt: {
    http: 500,
    promType: 'internal',
    retry: false,
    text: (v: { encoding: string; reason: string }) => `${v.encoding} chunk is damaged: ${v.reason}`,
  },
});
