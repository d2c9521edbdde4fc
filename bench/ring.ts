// The ring at its size: balance of arcs and series, what joins move, bytes of a version, time of a look-up (CPU).
//   npm run bench:ring

import { RingSlots } from '../src/ring/slots.ts';
import {
  aboveMean,
  addSeries,
  after,
  grownRing,
  imbalanceOf,
  memberOf,
  membersOf,
  ringOf,
} from '../src/ring/test-ring.ts';
import { encodeVersion, NO_OWNER, type RingVersion } from '../src/ring/version.ts';

const ARCS = 16_384;
const MEMBERS = 1000;
const percent = (part: number) => `${(100 * part).toFixed(1)} %`;
const figures: { what: string; got: string; bar: string; met: boolean }[] = [];
const figure = (what: string, got: string, bar: string, met: boolean) => figures.push({ what, got, bar, met });

let version = ringOf(membersOf(3, 3), ARCS, 3);
let joinMost = 0;
const joined = process.cpuUsage();
for (let number = 3; number < MEMBERS; number++) {
  version = after(version, { kind: 'join', member: memberOf(number, 3) });
  // what is the newcomer's has moved, and nothing else
  const index = version.members.findIndex(({ id }) => id === memberOf(number, 3).id);
  const moved = version.owners.reduce((sum, owner) => sum + (owner === index ? 1 : 0), 0);
  joinMost = Math.max(joinMost, moved / (ARCS / (Math.floor(number / 3) + 1)));
}
const joinMs = cpuMs(joined) / (MEMBERS - 3);
const loads = arcsOfMembers(version);
const mean = (3 * ARCS) / MEMBERS;
const worst = Math.max(Math.max(...loads) / mean - 1, 1 - Math.min(...loads) / mean);
figure(`arcs of ${MEMBERS} members in 3 zones, from the mean`, percent(worst), '2 %', worst <= 0.02);
figure('a join moves, of what it must', joinMost.toFixed(3), '1.1', joinMost <= 1.1);
figure('making a version', `${joinMs.toFixed(1)} ms`, '–', true);

const bytes = encodeVersion(version).length;
figure(`a version of ${MEMBERS} members`, `${(bytes / 1000).toFixed(0)} KB`, '350 KB', bytes < 350_000);

const slots = new RingSlots(version);
const series = new Float64Array(MEMBERS);
for (let i = 0; i < 100_000; i++) addSeries(version, slots, `tenant-${i}`, 365, series);
figure(
  '100,000 tenants of 365 series, busiest above the mean',
  percent(aboveMean(series)),
  '25 %',
  aboveMean(series) <= 0.25,
);
for (const [members, tenantSeries, bar] of [
  [6, 300_000, 0.15],
  [30, 5_000_000, 0.3],
] as const) {
  const ring = grownRing(members, 3, 4096, 3);
  const above = Array.from({ length: 200 }, (_, i) => imbalanceOf(ring, `tenant-${i}`, tenantSeries)).sort(
    (a, b) => a - b,
  );
  const got = `${percent(above[100]!)}, at worst ${percent(above.at(-1)!)}`;
  figure(
    `a tenant of ${tenantSeries} series on ${members} members, 200 names`,
    got,
    percent(bar),
    above.at(-1)! <= bar,
  );
}

let ns = Number.POSITIVE_INFINITY;
const owners = new Uint16Array(3);
let count = 0;
for (let round = 0; round < 5; round++) {
  const from = process.cpuUsage();
  for (let i = 0; i < 1e6; i++) count += slots.owners(slots.arcOf(`tenant-${i & 65535}`, i, i), owners);
  ns = Math.min(ns, cpuMs(from));
}
figure("a slot's owners, hash included", `${ns.toFixed(0)} ns`, '300 ns', ns < 300 && count > 0);

console.table(figures);
process.exitCode = figures.every(({ met }) => met) ? 0 : 1;

function arcsOfMembers({ members, owners }: RingVersion): Float64Array {
  const found = new Float64Array(members.length);
  for (const owner of owners) if (owner !== NO_OWNER) found[owner]!++;
  return found;
}

function cpuMs(from: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1000;
}
