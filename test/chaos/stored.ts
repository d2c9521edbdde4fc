import { runTool } from '../harness/tool.ts';
import { until } from '../harness/wait.ts';
import type { Journal } from './journal.ts';
import type { MemberProcess } from './processes.ts';
import type { Services } from './services.ts';

const FLUSH_MS_MAX = 300_000;

export interface StoredOptions {
  readonly processes: readonly MemberProcess[];
  readonly services: Services;
  readonly journal: Journal;
  /** Samples that must be there. */
  readonly samples: number;
  /** Share of them that may be there twice; undefined: any, for members that are killed write what they wrote before. */
  readonly twiceShareMax: number | undefined;
}

/** Has all that ingesters hold written to the store, and counts there what `pallium verify` finds: nothing may lack or be damaged. */
export async function checkStore({
  processes,
  services,
  journal,
  samples,
  twiceShareMax,
}: StoredOptions): Promise<void> {
  for (const process of processes.filter(({ isIngester }) => isIngester)) {
    await until(
      `${process.name} flushes`,
      async () => {
        const answer = await fetch(`${process.url}/ingester/flush?wait=true`, { method: 'POST' });
        const text = await answer.text();
        if (answer.status !== 200) throw new Error(`${answer.status} ${text}`);
        return true;
      },
      { timeoutMs: FLUSH_MS_MAX, intervalMs: 2_000 },
    );
  }
  journal.say('ingesters have flushed');
  const { code, stdout, stderr } = await runTool(['verify', ...services.storeFlags]);
  const found = Number(/(\d+) samples$/m.exec(stdout)?.[1] ?? 0);
  if (code !== 0) journal.wasWrong(`verify ended with ${code}: ${stdout.slice(-1_000)}${stderr.slice(-1_000)}`);
  const fault = storedFault(found, samples, twiceShareMax);
  if (fault !== undefined) journal.wasWrong(fault);
  journal.stored = `${found} samples of ${samples}, ${more(found, samples)} more than that`;
}

/** @returns what is wrong with so many samples in the store */
export function storedFault(found: number, samples: number, twiceShareMax: number | undefined): string | undefined {
  if (found < samples) return `the store has ${found} samples of ${samples}`;
  if (twiceShareMax === undefined || found <= samples * (1 + twiceShareMax)) return undefined;
  return `the store has ${more(found, samples)} more than ${samples} samples: at most ${(100 * twiceShareMax).toFixed(1)} % may be there twice`;
}

function more(found: number, samples: number): string {
  return `${((100 * found) / Math.max(1, samples) - 100).toFixed(1)} %`;
}
