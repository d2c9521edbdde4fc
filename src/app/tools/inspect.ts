import { SERIES_BLOCK, TIMES_BLOCK } from '../../chunk/group/header.ts';
import { decodeGroupRow, type GroupRow, hexOf } from '../../chunkstore/group-row.ts';
import { isMergedRange, type ParsedHash, parseHash, ROW_GROUP } from '../../chunkstore/keys.ts';
import { count, text, toggle } from '../../kit/config/field.ts';
import { section } from '../../kit/config/section.ts';
import { DAY_MS } from '../../lib/day.ts';
import { getOrMake } from '../../lib/map.ts';
import type { Row } from '../../table/client.ts';
import { print } from './output.ts';
import { showBytes } from './progress.ts';
import { DONE, tool } from './tool.ts';

interface TenantSizes {
  readonly days: Set<number>;
  /** By kind. */
  readonly rows: Map<string, number>;
  rowBytes: number;
  groups: number;
  groupBytes: number;
  seriesWindows: number;
  samples: number;
}

interface MetricSizes {
  bytes: number;
  seriesWindows: number;
}

export const inspectTool = tool({
  summary: 'Show what is in the store: sizes per tenant and metric, groups, rows.',
  description: [
    'Reads all rows, but no samples, and adds up their sizes: per tenant, and per metric of each tenant. A series counts',
    'once for each window (or merged day) that it is in. Bytes are those at rest; what metrics share in a group is',
    'divided by their numbers of series. Groups that a merge has replaced and that are not swept yet count too.',
  ].join('\n'),
  options: section('', 'inspect', {
    tenant: text({ help: 'Only this tenant.' }),
    top: count({ default: 20, help: 'Metrics listed for each tenant, largest first.' }),
    groups: toggle({ default: false, help: 'List every group.' }),
    rows: toggle({ default: false, help: 'List every row.' }),
  }),
  async run({ options, openStore, output, progress, signal }) {
    const { schema } = await openStore();
    const tenants = new Map<string, TenantSizes>();
    const metrics = new Map<string, Map<string, MetricSizes>>();
    let seen = 0;
    for (const period of schema.periods) {
      for (const table of await schema.existingTables(period)) {
        for await (const page of period.tables.admin.scan(table, signal)) {
          for (const row of page) {
            seen++;
            const parsed = parseHash(row.hash);
            const tenant = parsed === undefined ? '(no known key)' : (parsed.tenant ?? '(long name, hashed)');
            if (options.tenant !== '' && tenant !== options.tenant) continue;
            if (options.rows) await print(output, `${showRow(table, row, parsed)}\n`);
            const sizes = getOrMake(tenants, tenant, emptySizes);
            addRow(sizes, row, parsed);
            if (parsed?.kind !== ROW_GROUP) continue;
            const group = decodeGroupRow(row.range, row.value, `${table}/${hexOf(row.hash)}/${hexOf(row.range)}`);
            addGroup(
              sizes,
              getOrMake(metrics, tenant, () => new Map<string, MetricSizes>()),
              group,
            );
            if (options.groups) await print(output, `${showGroup(table, tenant, parsed, row, group)}\n`);
          }
          progress.at(() => `${table}: ${seen} rows`);
        }
      }
    }
    for (const [tenant, sizes] of [...tenants].sort(([, a], [, b]) => b.groupBytes - a.groupBytes)) {
      await print(output, showTenant(tenant === '' ? '(all tenants)' : tenant, sizes));
      const largest = [...(metrics.get(tenant) ?? [])].sort(([, a], [, b]) => b.bytes - a.bytes);
      for (const [name, { bytes, seriesWindows }] of largest.slice(0, options.top)) {
        await print(
          output,
          `  ${showBytes(bytes).padStart(10)}  ${String(seriesWindows).padStart(10)} series  ${name}\n`,
        );
      }
      if (largest.length > options.top) await print(output, `  and ${largest.length - options.top} more metrics\n`);
    }
    if (tenants.size === 0) await print(output, 'nothing\n');
    return DONE;
  },
});

function emptySizes(): TenantSizes {
  return { days: new Set(), rows: new Map(), rowBytes: 0, groups: 0, groupBytes: 0, seriesWindows: 0, samples: 0 };
}

function addRow(sizes: TenantSizes, { hash, range, value }: Row, parsed: ParsedHash | undefined): void {
  const kind = parsed?.kind ?? '?';
  sizes.rows.set(kind, (sizes.rows.get(kind) ?? 0) + 1);
  sizes.rowBytes += hash.length + range.length + value.length;
  if (parsed?.day !== undefined) sizes.days.add(parsed.day);
}

function addGroup(sizes: TenantSizes, metrics: Map<string, MetricSizes>, { header }: GroupRow): void {
  sizes.groups++;
  sizes.groupBytes += header.bodyBytes;
  sizes.seriesWindows += header.seriesCount;
  sizes.samples += header.sampleCount;
  const timeBytes = header.blocks.reduce((sum, { kind, bytes }) => (kind === TIMES_BLOCK ? sum + bytes : sum), 0);
  for (const { name, first, count } of header.metrics) {
    const of = getOrMake(metrics, name, () => ({ bytes: 0, seriesWindows: 0 }));
    of.seriesWindows += count;
    of.bytes += (timeBytes * count) / header.seriesCount;
    for (const block of header.blocks) {
      if (block.kind === TIMES_BLOCK) continue;
      const shared = Math.min(first + count, block.first + block.count) - Math.max(first, block.first);
      if (shared > 0) of.bytes += (block.bytes * shared) / block.count;
    }
  }
  for (const of of metrics.values()) of.bytes = Math.round(of.bytes);
}

function showTenant(tenant: string, sizes: TenantSizes): string {
  const { days, rows, rowBytes, groups, groupBytes, seriesWindows, samples } = sizes;
  const kinds = [...rows].map(([kind, number]) => `${number} ${kind}`).join(', ');
  const each = samples === 0 ? '' : `, ${(groupBytes / samples).toFixed(3)} bytes a sample`;
  return (
    `${tenant}: ${days.size} days, rows ${kinds} (${showBytes(rowBytes)}), ${groups} groups (${showBytes(groupBytes)}), ` +
    `${seriesWindows} series in windows, ${samples} samples${each}\n`
  );
}

function showRow(table: string, { hash, range, value }: Row, parsed: ParsedHash | undefined): string {
  const day = parsed?.day === undefined ? '-' : showDay(parsed.day);
  return `row ${table} ${JSON.stringify(parsed?.tenant ?? '')} ${day} ${parsed?.kind ?? '?'} ${hexOf(hash)} ${hexOf(range)} ${value.length} bytes`;
}

function showGroup(table: string, tenant: string, { day }: ParsedHash, row: Row, group: GroupRow): string {
  const { header, place, id, replaces } = group;
  const form = isMergedRange(row.range) ? `merged of ${replaces.length}` : 'window';
  const where = place.kind === 'inline' ? 'in its row' : `${place.key} at ${place.offset}`;
  const labelBytes = header.blocks.reduce((sum, { kind, bytes }) => (kind === SERIES_BLOCK ? sum + bytes : sum), 0);
  return (
    `group ${id} ${table} ${JSON.stringify(tenant)} ${day === undefined ? '-' : showDay(day)} ${form} ` +
    `${new Date(header.windowStartMs).toISOString()} ${header.metrics.length} metrics, ${header.seriesCount} series, ` +
    `${header.sampleCount} samples, ${header.bodyBytes} bytes (${labelBytes} labels), ${where}`
  );
}

function showDay(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
