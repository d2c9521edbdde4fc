import { type Logger as PinoLogger, pino } from 'pino';
import { maskSecrets } from '../../lib/mask.ts';
import { choice } from '../config/field.ts';
import { section } from '../config/section.ts';

export const logConfig = section('log', 'Logs', {
  level: choice({
    default: 'info',
    values: ['debug', 'info', 'warn', 'error'],
    help: 'Least severe level that is written.',
  }),
  format: choice({ default: 'logfmt', values: ['logfmt', 'json'], help: 'Form of a line.' }),
});

/** Fields first, then what happened: `log.warn({ tenant, err }, 'push refused')`. */
export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error'> & {
  child(fields: Record<string, unknown>): Logger;
};

/** Where lines go; standard error in a process, anything in a test. */
export interface LogSink {
  write(line: string): void;
}

export function createLogger(config: typeof logConfig.type, sink: LogSink = process.stderr): Logger {
  const form = config.format === 'json' ? (line: string) => line : toLogfmt;
  // whatever is logged may quote an address with a password in it
  const formatted: LogSink = { write: (line) => sink.write(maskSecrets(form(line))) };
  return pino(
    {
      level: config.level,
      base: null,
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (level) => ({ level }) },
    },
    formatted,
  );
}

/** Writes nothing: for tests and for parts that are used as a library. */
export const silentLogger: Logger = pino({ level: 'silent' });

/** One JSON line → `ts=… level=info msg="…" key=value`. Nested objects become dotted keys. */
function toLogfmt(line: string): string {
  const { ts, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const parts = [`ts=${ts}`, `level=${level}`, `msg=${quoted(String(msg ?? ''))}`];
  const add = (key: string, value: unknown) => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [name, inner] of Object.entries(value)) add(`${key}.${name}`, inner);
    } else if (value !== undefined) {
      parts.push(`${key}=${quoted(typeof value === 'string' ? value : JSON.stringify(value))}`);
    }
  };
  for (const [key, value] of Object.entries(fields)) add(key, value);
  return `${parts.join(' ')}\n`;
}

function quoted(text: string): string {
  return /^[^\s"=\\]+$/.test(text) ? text : JSON.stringify(text);
}
