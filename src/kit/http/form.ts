import type { IncomingHttpHeaders } from 'node:http';
import { inOneGo } from '../../lib/in-one-go.ts';
import { nextTurn } from '../../lib/turn.ts';
import { processErrors } from '../../model/errors-process.ts';
import { hexPair } from './url.ts';

/** Parameters in their order. */
export type FormParams = (readonly [name: string, value: string])[];

/** Forms and addresses up to this size are read at once; larger ones give others their turn. */
const AT_ONCE_BYTES_MAX = 64 << 10;
/** Bytes read before others have their turn: well below a millisecond of work. */
const TURN_BYTES = 64 << 10;
/** Parameters made before others have their turn. */
const TURN_PARAMS = 500;
const PART_HEADER_BYTES_MAX = 8 << 10;
/** RFC 2046. */
const BOUNDARY_CHARS_MAX = 70;

/** How many parameters a request may have, and the setting that says so. */
export interface ParamsLimit {
  readonly params: number;
  readonly limit: string;
}

const ADDRESS_LIMIT: ParamsLimit = { params: 1_000, limit: 'fixed' };

interface FormRequest {
  readonly method: string;
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
}

/**
 * The parameters of a request, as Go has them: those of a form before those of the address, those of a multipart form
 * after them. A promise where they are many bytes; undefined for a body that is no form.
 * @throws tooManyParams, formInvalid
 */
export function readParams(request: FormRequest, limit: ParamsLimit): FormParams | Promise<FormParams> | undefined {
  const { method, query, headers, body } = request;
  const address = Buffer.from(query, 'latin1');
  if (method !== 'POST' || body.length === 0) return run(readUrlEncoded([address], limit), address.length);
  const form = Buffer.from(body.buffer, body.byteOffset, body.length);
  const type = headers['content-type'];
  const media = type?.replace(/;.*/s, '').trim().toLowerCase();
  const bytes = address.length + form.length;
  if (media === undefined || media === 'application/x-www-form-urlencoded') {
    return run(readUrlEncoded([form, address], limit), bytes);
  }
  if (media === 'multipart/form-data') return run(readMultipart(address, form, type ?? '', limit), bytes);
  return undefined;
}

/** The parameters of an address, for a request that has no form. */
export class AddressParams {
  readonly #params: FormParams;

  private constructor(params: FormParams) {
    this.#params = params;
  }

  /** @throws tooManyParams beyond a thousand */
  static of(query: string): AddressParams {
    return new AddressParams(inOneGo(readUrlEncoded([Buffer.from(query, 'latin1')], ADDRESS_LIMIT)));
  }

  /** All of them, in order. */
  get all(): FormParams {
    return this.#params;
  }

  /** The first value; null where there is none. */
  get(name: string): string | null {
    return this.#params.find(([key]) => key === name)?.[1] ?? null;
  }
}

/** Reading stops at each `yield` when it is time for others. */
type Reading = Generator<undefined, FormParams>;

function run(reading: Reading, bytes: number): FormParams | Promise<FormParams> {
  return bytes <= AT_ONCE_BYTES_MAX ? inOneGo(reading) : runInTurns(reading);
}

async function runInTurns(reading: Reading): Promise<FormParams> {
  for (;;) {
    const { done, value } = reading.next();
    if (done === true) return value;
    await nextTurn();
  }
}

/** `a=1&b=2`, as browsers read it: what is no escape stands for itself, and what is no UTF-8 becomes U+FFFD. */
function* readUrlEncoded(texts: readonly Buffer[], limit: ParamsLimit): Reading {
  const params: FormParams = [];
  for (const text of texts) {
    let start = 0;
    let equals = -1;
    let turnEnd = TURN_BYTES;
    for (let i = 0; i <= text.length; i++) {
      const byte = text[i];
      if (byte === EQUALS && equals < 0) equals = i;
      if (byte === AMPERSAND || byte === undefined) {
        if (i > start) {
          if (params.length >= limit.params) throw processErrors.tooManyParams(limit);
          const name = yield* decoded(text, start, equals < 0 ? i : equals);
          const value = equals < 0 ? '' : yield* decoded(text, equals + 1, i);
          params.push([name, value]);
          if (params.length % TURN_PARAMS === 0) yield;
        }
        start = i + 1;
        equals = -1;
      }
      if (i === turnEnd) {
        turnEnd += TURN_BYTES;
        yield;
      }
    }
  }
  return params;
}

/** The text between two places with `+` and `%20` resolved. */
function* decoded(text: Buffer, start: number, end: number): Generator<undefined, string> {
  let i = start;
  while (i < end && text[i] !== PERCENT && text[i] !== PLUS) i++;
  if (i === end) return text.toString('utf8', start, end);
  if (end - start > TURN_BYTES) yield;
  const out = Buffer.allocUnsafe(end - start);
  let at = text.copy(out, 0, start, i);
  let turnEnd = i + TURN_BYTES;
  for (; i < end; i++) {
    const byte = text[i]!;
    if (byte === PLUS) out[at++] = SPACE;
    else if (byte === PERCENT) {
      const code = i + 2 < end ? hexPair(text, i + 1) : -1;
      out[at++] = code < 0 ? PERCENT : code;
      if (code >= 0) i += 2;
    } else out[at++] = byte;
    if (i >= turnEnd) {
      turnEnd += TURN_BYTES;
      yield;
    }
  }
  return out.toString('utf8', 0, at);
}

/** Fields of `multipart/form-data`; files are left out. */
function* readMultipart(address: Buffer, form: Buffer, type: string, limit: ParamsLimit): Reading {
  const params = yield* readUrlEncoded([address], limit);
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]*)"|([^\s;"]+))/i.exec(type) ?? [];
  const boundary = quoted ?? plain ?? '';
  if (boundary === '' || boundary.length > BOUNDARY_CHARS_MAX) {
    throw processErrors.formInvalid({
      reason: `its boundary is missing or longer than ${BOUNDARY_CHARS_MAX} characters`,
    });
  }
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  // the first one may stand at the very beginning, without a line break
  let at = form.subarray(0, delimiter.length - 2).equals(delimiter.subarray(2))
    ? delimiter.length - 2
    : after(form.indexOf(delimiter), delimiter);
  for (let parts = 1; form[at] !== DASH || form[at + 1] !== DASH; parts++) {
    if (params.length >= limit.params || parts > limit.params) throw processErrors.tooManyParams(limit);
    const header = form.indexOf('\r\n', at, 'latin1') + 2;
    const end = form.indexOf(delimiter, at);
    const headerEnd = form.subarray(header - 2, header + PART_HEADER_BYTES_MAX).indexOf('\r\n\r\n') + header - 2;
    if (end < 0 || header < 2 || headerEnd < header - 2 || headerEnd + 4 > end + 2) {
      throw processErrors.formInvalid({ reason: 'a part of it ends early, or has no header' });
    }
    const [, name] =
      /^content-disposition:\s*form-data;(?:.*;)?\s*name="([^"\r\n]*)"/im.exec(
        form.toString('utf8', header, headerEnd),
      ) ?? [];
    const isFile = /^content-disposition:.*;\s*filename/im.test(form.toString('latin1', header, headerEnd));
    if (name !== undefined && !isFile)
      params.push([name, form.toString('utf8', headerEnd + 4, Math.max(headerEnd + 4, end))]);
    at = after(end, delimiter);
    if (parts % TURN_PARAMS === 0 || end - header > TURN_BYTES) yield;
  }
  return params;
}

function after(at: number, delimiter: Buffer): number {
  if (at < 0) throw processErrors.formInvalid({ reason: 'its boundary is nowhere in it' });
  return at + delimiter.length;
}

const AMPERSAND = 0x26;
const EQUALS = 0x3d;
const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;
const DASH = 0x2d;
