import { AddressParams, type FormParams, readParams } from '../../kit/http/form.ts';
import {
  type HttpRequest,
  type HttpResponse,
  htmlResponse,
  jsonResponse,
  type Route,
  textResponse,
} from '../../kit/http/message.ts';
import type { Change } from '../../ring/placement.ts';
import type { ClusterNode } from '../cluster/cluster-node.ts';
import { ringPage } from './ring-page.ts';

const PARAMS = { params: 20, limit: 'fixed' };
const BODY_BYTES_MAX = 16 * 1024;

/**
 * `/ring` and `/ingester/ring`: the ring as page, or as JSON where that is accepted. POST changes it: `forget=ID` takes a member out,
 * `drain=ID` and `return=ID` have it own nothing, or arcs again; `confirm=ID` says that it is meant, `force=true` what is unsafe.
 */
export function ringRoutes(cluster: ClusterNode): Route[] {
  return ['/ring', '/ingester/ring'].map(
    (path): Route => ({
      path,
      methods: ['GET', 'POST'],
      needs: 'admin',
      bodyBytesMax: BODY_BYTES_MAX,
      handle: (request) => (request.method === 'POST' ? changeRing(cluster, request) : showRing(cluster, request)),
    }),
  );
}

function showRing(cluster: ClusterNode, { headers, query }: HttpRequest): HttpResponse {
  const wantsJson =
    AddressParams.of(query).get('format') === 'json' || /\bapplication\/json\b/.test(headers.accept ?? '');
  const status = cluster.status();
  return wantsJson ? jsonResponse(status) : htmlResponse(ringPage(status, cluster.notReady(), cluster.member?.id));
}

async function changeRing(cluster: ClusterNode, request: HttpRequest): Promise<HttpResponse> {
  const params = (await readParams(request, PARAMS)) ?? [];
  const change = changeIn(params);
  if (change === undefined)
    return textResponse(400, 'one of forget, drain and return is wanted, with the id of a member\n');
  const { member } = cluster;
  if (member === undefined) {
    return textResponse(409, 'this process is no ingester: ask one of those that the ring names\n');
  }
  if (paramOf(params, 'confirm') !== change.id) {
    return textResponse(400, `refused: say that it is meant by confirm=${change.id}\n`);
  }
  const force = paramOf(params, 'force') === 'true';
  if (change.kind === 'remove' && !force) {
    const reason = cluster.forgettingIsUnsafe(change.id);
    if (reason !== undefined) return textResponse(409, `refused: ${reason}; force=true where you vouch for it\n`);
  }
  await member.change(change, { force });
  return textResponse(
    200,
    `version ${cluster.current()?.newest.number} of the ring: ${DONE[change.kind]} ${change.id}\n`,
  );
}

type Named = Extract<Change, { kind: 'remove' | 'drain' | 'return' }>;

const KINDS = { forget: 'remove', drain: 'drain', return: 'return' } as const;
const DONE = { remove: 'forgot', drain: 'drains', return: 'has returned' } as const;

function changeIn(params: FormParams): Named | undefined {
  const asked = Object.entries(KINDS).flatMap(([name, kind]) => {
    const id = paramOf(params, name);
    return id === '' ? [] : [{ kind, id }];
  });
  return asked.length === 1 ? asked[0] : undefined;
}

function paramOf(params: FormParams, name: string): string {
  return params.find(([key]) => key === name)?.[1] ?? '';
}
