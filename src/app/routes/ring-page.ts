import { formatDuration } from '../../kit/config/units.ts';
import type { MemberStatus, RingStatus } from '../cluster/ring-status.ts';
import { escaped, htmlPage } from './html.ts';

/** The ring as a page. @param ownId the member that this process is */
export function ringPage(status: RingStatus, notReady: string | undefined, ownId: string | undefined): string {
  const { version, confirmed, floor, replicas, arcs, members, hash } = status;
  const style = `body { font: 15px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 3rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.5rem; margin: 0; }
p { color: var(--soft); margin: 0.4rem 0; }
table { border-collapse: collapse; width: 100%; margin-top: 1.5rem; }
th, td { text-align: left; padding: 0.35rem 0.75rem 0.35rem 0; border-top: 1px solid var(--line); vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
code { font: 0.85rem ui-monospace, monospace; }
.bad { color: #c0392b; }`;
  const body = `<h1>Ring</h1>
<p>${version === 0 ? 'No version is known.' : `Version ${version}, version ${confirmed} counts, version ${floor} is the oldest that readers ask for. ${arcs} arcs, each with ${replicas} owners. <code>${escaped(hash.slice(0, 12))}</code>`}</p>
${notReady === undefined ? '' : `<p class="bad">${escaped(notReady)}</p>`}
<table>
<thead><tr><th>Member</th><th>Zone</th><th>Address</th><th>State</th><th>Heartbeat</th><th>Reached</th><th>Arcs</th><th>Version</th><th>In the store up to</th><th>Series</th><th>Samples not in the store</th><th>Oldest window not in the store</th><th>Notes</th></tr></thead>
<tbody>
${members.map((each) => rowOf(each, version, ownId)).join('\n')}
</tbody>
</table>
<p>To change the ring: <code>POST /ring</code> with <code>forget=ID</code>, <code>drain=ID</code> or <code>return=ID</code>, and <code>confirm=ID</code>. As JSON: <code>/ring?format=json</code>.</p>`;
  return htmlPage({ title: 'Ring', style, body });
}

function rowOf(member: MemberStatus, newest: number, ownId: string | undefined): string {
  const { id, zone, address, state, healthy, heartbeatAgeMs, reached, arcs, version, word, holds } = member;
  const age =
    heartbeatAgeMs === undefined ? 'not yet' : `${formatDuration(Math.round(heartbeatAgeMs / 1000) * 1000)} ago`;
  const notes = [
    id === ownId && 'this process',
    !member.complete && 'reads its log, or owes what is left of windows that lost something',
    member.lost && 'knows of losses for good',
    member.settling && 'waits: the store of the ring lost something',
  ].filter((note) => note !== false);
  const cells = [
    `<code>${escaped(id)}</code>`,
    escaped(zone),
    `<code>${escaped(address)}</code>`,
    state,
    `<span${healthy === false ? ' class="bad"' : ''}>${age}</span>`,
    reached === undefined ? '' : reached ? 'yes' : '<span class="bad">no</span>',
  ];
  const numbers = [
    String(arcs),
    version === newest ? String(version) : `<span class="bad">${version}</span>`,
    String(word),
    holds === undefined ? '' : String(holds.series),
    String(holds?.samplesOwed ?? ''),
    holds === undefined || holds.windowsOwed === 0 ? '' : new Date(holds.oldestOwedMs).toISOString(),
  ];
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}${numbers.map((each) => `<td class="number">${each}</td>`).join('')}<td>${notes.join(', ')}</td></tr>`;
}
