// Bytes per sample at rest, index included: the whole data folder after everything was written out and the server has ended.
//   npm run bench:storage -- [--set 12x1440] [--servers prometheus,victoria-metrics,pallium]
// Small: --set 2x240. Prometheus is asked for a snapshot, whose blocks are what it would keep.
import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tempFolder } from '../test/harness/pallium.ts';
import { benchOptions, list } from './options.ts';
import { CONTENDERS, startContender } from './servers.ts';
import { replay, workloadSet } from './sets.ts';

const options = benchOptions({ set: '12x1440', servers: CONTENDERS.join(',') });
const set = await workloadSet(options.set);
const rows: Record<string, unknown>[] = [];
for (const name of list(options.servers)) {
  const dataDir = tempFolder('bench');
  await using server = await startContender(name, { dataDir });
  if (server === undefined) continue;
  const { samples } = await replay(set, server.writeUrl);
  let folder = server.dataDir;
  if (name === 'prometheus') {
    await fetch(`${server.url}/api/v1/admin/tsdb/snapshot`, { method: 'POST' });
    folder = join(server.dataDir, 'snapshots');
  }
  await server.pallium?.flush();
  await server.stop();
  const parts = readdirSync(folder).map((part): [string, number] => [part, diskBytes(join(folder, part))]);
  const total = diskBytes(folder);
  rows.push({ server: server.name, samples, bytes: total, 'bytes/sample': Number((total / samples).toFixed(3)) });
  if (server.pallium !== undefined) {
    console.table(
      parts.map(([part, bytes]) => ({ part, bytes, 'bytes/sample': Number((bytes / samples).toFixed(3)) })),
    );
  }
  rmSync(dataDir, { recursive: true, force: true });
}
console.log(`${set.name}: ${set.series} series`);
console.table(rows);

function diskBytes(path: string): number {
  return Number(execFileSync('du', ['-s', '--block-size=1', path], { encoding: 'utf8' }).split('\t')[0]);
}
