import type { ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { Matcher } from '../matcher.ts';
import { type Silence, SilenceError, silenceMatcher, silenceState, sortedSilences } from '../silence.ts';
import { type SilenceBook, SilenceNotFoundError } from '../silence-book.ts';
import { emptyAnswer, jsonAnswer } from './answer.ts';
import { bodyOf, labelsFrom, timeFrom } from './body.ts';
import { BadRequest, Params } from './params.ts';

const matchersMax = 1000;
const UUID = /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/i;

/** `GET /api/v2/silences` */
export function getSilences(book: SilenceBook, request: ApiRequest, nowMs: number): ApiResponse {
  const params = new Params(request);
  const filter = params.matchers('filter');
  const wanted = sortedSilences([...book.all()], nowMs).filter((silence) => {
    const has = (wanted: Matcher) =>
      silence.matchers.some(
        ({ name, op, value }) => name === wanted.name && op === wanted.op && value === wanted.value,
      );
    return params.flag(silenceState(silence, nowMs)) && filter.every(has);
  });
  return jsonAnswer(wanted.map((silence) => shown(silence, nowMs)));
}

/** `GET /api/v2/silence/:id` */
export function getSilence(book: SilenceBook, id: string, nowMs: number): ApiResponse {
  const silence = UUID.test(id) ? book.get(id) : undefined;
  if (silence !== undefined) return jsonAnswer(shown(silence, nowMs));
  return UUID.test(id) ? emptyAnswer(404) : noUuid(id);
}

/** `POST /api/v2/silences` */
export async function postSilences(
  book: SilenceBook,
  request: ApiRequest,
  nowMs: number,
  signal: AbortSignal,
): Promise<ApiResponse> {
  const given = silenceFrom(bodyOf(request), book);
  if (given.startsAtMs >= given.endsAtMs) {
    throw new BadRequest('Failed to create silence: start time must be before end time');
  }
  if (given.endsAtMs < nowMs) throw new BadRequest("Failed to create silence: end time can't be in the past");
  try {
    return jsonAnswer({ silenceID: await book.set(given, nowMs, signal) });
  } catch (thrown) {
    if (thrown instanceof SilenceNotFoundError) return jsonAnswer(thrown.message, 404);
    throw thrown instanceof SilenceError ? new BadRequest(thrown.message) : thrown;
  }
}

/** `DELETE /api/v2/silence/:id` */
export async function deleteSilence(
  book: SilenceBook,
  id: string,
  nowMs: number,
  signal: AbortSignal,
): Promise<ApiResponse> {
  if (!UUID.test(id)) return noUuid(id);
  try {
    await book.expire(id, nowMs, signal);
    return emptyAnswer(200);
  } catch (thrown) {
    if (thrown instanceof SilenceNotFoundError) return emptyAnswer(404);
    throw thrown;
  }
}

function noUuid(id: string): ApiResponse {
  return jsonAnswer(
    { code: 601, message: `silenceID in path must be of type uuid: ${JSON.stringify(id.slice(0, 100))}` },
    422,
  );
}

/** @throws BadRequest */
function silenceFrom(body: unknown, book: SilenceBook): Omit<Silence, 'updatedAtMs'> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new BadRequest('a silence is wanted');
  const { id, matchers, startsAt, endsAt, createdBy, comment, annotations } = body as Record<string, unknown>;
  const [startsAtMs, endsAtMs] = [timeFrom(startsAt, 'startsAt'), timeFrom(endsAt, 'endsAt')];
  if (!Array.isArray(matchers)) throw new BadRequest('matchers in body is required');
  if (matchers.length > matchersMax) {
    throw new BadRequest(`silence of ${matchers.length} matchers: limit of ${matchersMax} exceeded (matchers_max)`);
  }
  for (const [name, value] of Object.entries({ startsAt: startsAtMs, endsAt: endsAtMs, createdBy, comment })) {
    if (value === undefined || value === null) throw new BadRequest(`${name} in body is required`);
  }
  try {
    const texts = matchers.flatMap((given) => Object.values(given ?? {})).filter((each) => typeof each === 'string');
    book.checkTexts([...texts, String(comment), String(createdBy)]);
    return {
      id: typeof id === 'string' ? id : '',
      matchers: matchers.map((given, i) => {
        const { name, value, isRegex, isEqual } = (given ?? {}) as Record<string, unknown>;
        if (typeof name !== 'string' || typeof value !== 'string') {
          throw new BadRequest(`matchers.${i}: name, value and isRegex are required`);
        }
        return silenceMatcher(name, value, isEqual !== false, isRegex === true, i);
      }),
      startsAtMs: startsAtMs!,
      endsAtMs: endsAtMs!,
      createdBy: String(createdBy),
      comment: String(comment),
      annotations: labelsFrom(annotations, 'annotations'),
    };
  } catch (thrown) {
    throw thrown instanceof SilenceError ? new BadRequest(thrown.message) : thrown;
  }
}

function shown(silence: Silence, nowMs: number): object {
  const { id, matchers, startsAtMs, endsAtMs, updatedAtMs, createdBy, comment, annotations } = silence;
  return {
    id,
    status: { state: silenceState(silence, nowMs) },
    updatedAt: new Date(updatedAtMs).toISOString(),
    annotations: annotations.size === 0 ? undefined : Object.fromEntries(annotations),
    comment,
    createdBy,
    endsAt: new Date(endsAtMs).toISOString(),
    matchers: matchers.map(({ name, value, isEqual, isRegex }) => ({ isEqual, isRegex, name, value })),
    startsAt: new Date(startsAtMs).toISOString(),
  };
}
