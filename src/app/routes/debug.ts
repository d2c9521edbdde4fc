import { Session } from 'node:inspector/promises';
import { AddressParams } from '../../kit/http/form.ts';
import { type HttpRequest, type HttpResponse, jsonResponse, type Route, textResponse } from '../../kit/http/message.ts';
import type { Clock } from '../../lib/clock.ts';

const SECONDS_MAX = 120;

/** Profiles of the main thread, for the admin listener: they slow the process down and show what it holds. */
export function debugRoutes(clock: Clock): Route[] {
  // one at a time: two profilers in one process would record each other
  let running = false;
  const profile =
    (record: (session: Session, seconds: number, signal: AbortSignal) => Promise<object>) =>
    async ({ query, signal }: HttpRequest): Promise<HttpResponse> => {
      const seconds = Number(AddressParams.of(query).get('seconds') ?? 10);
      if (!(seconds > 0 && seconds <= SECONDS_MAX))
        return textResponse(400, `seconds is between 0 and ${SECONDS_MAX}\n`);
      if (running) return textResponse(409, 'a profile is being taken already\n');
      running = true;
      const session = new Session();
      try {
        session.connect();
        return jsonResponse(await record(session, seconds, signal));
      } finally {
        session.disconnect();
        running = false;
      }
    };
  const get = (path: string, handle: Route['handle']): Route => ({
    path,
    methods: ['GET'],
    needs: 'admin',
    head: false,
    handle,
  });
  return [
    get(
      '/debug/cpu',
      profile(async (session, seconds, signal) => {
        await session.post('Profiler.enable');
        await session.post('Profiler.start');
        await clock.sleep(seconds * 1000, signal).catch(() => {}); // gone: what is there so far is thrown away
        return (await session.post('Profiler.stop')).profile;
      }),
    ),
    get(
      '/debug/heap',
      profile(async (session, seconds, signal) => {
        await session.post('HeapProfiler.startSampling');
        await clock.sleep(seconds * 1000, signal).catch(() => {});
        return (await session.post('HeapProfiler.stopSampling')).profile;
      }),
    ),
  ];
}
