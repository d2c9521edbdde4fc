import { Kernel } from '../../chunk/kernel.ts';
import { type VerifyReport, verify } from '../../chunkstore/verify.ts';
import { toggle } from '../../kit/config/field.ts';
import { section } from '../../kit/config/section.ts';
import { print } from './output.ts';
import { showBytes } from './progress.ts';
import { DAMAGED, DONE, tool } from './tool.ts';

export const verifyTool = tool({
  summary: 'Read everything in the store and check every checksum.',
  description: [
    'Walks all tables and objects of all schema periods, decodes every row, group and sample, and checks checksums,',
    'digests and content ids. What is damaged is named, one line each, on standard output. Objects that no row names',
    'are what a flush or merge that was cut short left behind; they are no damage.',
    '',
    'Exit code: 0 all is well, 3 there is damage, 1 the store could not be read.',
  ].join('\n'),
  options: section('', 'verify', {
    unreferenced: toggle({ default: false, help: 'List objects that no row names.' }),
  }),
  async run({ options, openStore, output, progress, signal }) {
    const { schema } = await openStore();
    const report = await verify(schema, Kernel.create(), (soFar) => progress.at(() => summary(soFar)), signal);
    for (const { name, reason } of report.problems) await print(output, `damaged: ${name}: ${reason}\n`);
    const unnamed = report.problemCount - report.problems.length;
    if (unnamed > 0) await print(output, `damaged: ${unnamed} more\n`);
    if (options.unreferenced) for (const key of report.unreferenced) await print(output, `unreferenced: ${key}\n`);
    const kinds = Object.entries(report.rows).map(([kind, count]) => `${count} ${KINDS[kind] ?? 'unknown'}`);
    await print(output, `${summary(report)}\n`);
    await print(output, `rows: ${kinds.join(', ') || 'none'}\n`);
    if (report.unreferenced.length > 0)
      await print(output, `${report.unreferenced.length} objects that no row names\n`);
    await print(output, report.problemCount === 0 ? 'no damage\n' : `${report.problemCount} damaged\n`);
    return report.problemCount === 0 ? DONE : DAMAGED;
  },
});

const KINDS: Readonly<Record<string, string>> = {
  g: 'group',
  l: 'label',
  m: 'metadata',
  p: 'placement',
  d: 'days',
  t: 'tombstone',
  n: 'tenants',
  c: 'compacted',
  e: 'lease',
  D: 'document',
  C: 'content',
  S: 'state',
  P: 'page',
  K: 'known tenant',
  O: 'copied',
};

function summary({ tables, rows, rowBytes, objects, objectBytes, groups, series, samples }: VerifyReport): string {
  const rowCount = Object.values(rows).reduce((sum, count) => sum + count, 0);
  return (
    `${tables} tables, ${rowCount} rows (${showBytes(rowBytes)}), ${objects} objects (${showBytes(objectBytes)}), ` +
    `${groups} groups, ${series} series in windows, ${samples} samples`
  );
}
