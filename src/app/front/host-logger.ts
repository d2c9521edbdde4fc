import type { Logger } from '../../kit/observe/log.ts';
import type { Channel } from '../../kit/thread/channel.ts';
import type { FrontHostRole, FrontLogLine } from './front-role.ts';

/** Lines that wait for the main thread to write them; what comes beyond is left out. */
const WAITING_MAX = 1_000;

/** Has the main thread write its lines: it has the place to write to. */
export function hostLogger(host: Promise<Channel<FrontHostRole>>, isDebug: boolean): Logger {
  let waiting = 0;
  const send = (line: FrontLogLine) => {
    if (waiting >= WAITING_MAX) return;
    waiting++;
    host
      .then((main) => main.call('log', line))
      .catch(() => {})
      .finally(() => {
        waiting--;
      });
  };
  const loggerOf = (own: Record<string, unknown>): Logger => {
    const of = (level: FrontLogLine['level']) => (given: unknown, text?: string) => {
      if (level === 'debug' && !isDebug) return;
      if (typeof given === 'string') send({ level, text: given, fields: own });
      else send({ level, text: text ?? '', fields: movedFields({ ...own, ...(given as Record<string, unknown>) }) });
    };
    return {
      debug: of('debug'),
      info: of('info'),
      warn: of('warn'),
      error: of('error'),
      child: (fields) => loggerOf({ ...own, ...fields }),
    };
  };
  return loggerOf({});
}

/** Fields as they move to another thread: an error as its text, with its stack where it is a bug's. */
function movedFields(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      if (value instanceof Error) return [name, value.stack ?? value.message];
      return [name, typeof value === 'object' && value !== null ? JSON.stringify(value) : value];
    }),
  );
}
