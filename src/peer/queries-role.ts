import type { QueriesOfProcess, RunningQuery } from '../contract/running-queries.ts';
import { decodeValue, encodeValue } from '../kit/rpc/codec.ts';
import type { RpcCaller, RpcRole } from '../kit/rpc/role.ts';
import { boolOf, countOf, fieldsOf, listOf, numberOf, optional, textOf } from './shapes.ts';

/** Queries of one answer, the first that began. */
const QUERIES_MAX = 10_000;
const TEXT_CHARS_MAX = 4096;

/** The methods by which processes ask each other for queries under way; `remoteQueries` is the other end. */
export function queriesRole(own: QueriesOfProcess): RpcRole {
  return {
    async queriesRunning({ head }, { signal }) {
      const { tenant } = fieldsOf(head, 'queriesRunning');
      const running = await own.running(optional(tenant, nameOf), signal);
      return { body: encodeValue(running.slice(0, QUERIES_MAX)) };
    },
    async queriesCancel({ head }, { signal }) {
      const { tenant, id } = fieldsOf(head, 'queriesCancel');
      return { head: { found: await own.cancel(nameOf(tenant), countOf(id, 'id'), signal) } };
    },
  };
}

/** The queries under way in another process. */
export function remoteQueries(caller: RpcCaller): QueriesOfProcess {
  return {
    async running(tenant, signal) {
      const { body } = await caller.call('queriesRunning', tenant === undefined ? {} : { tenant }, undefined, {
        signal,
      });
      const queries = listOf(decodeValue(body), 'queries', QUERIES_MAX, queryOf);
      // who asks for one tenant is told of no other, whatever the other end says
      return tenant === undefined ? queries : queries.filter((each) => each.tenant === tenant);
    },
    async cancel(tenant, id, signal) {
      const { head } = await caller.call('queriesCancel', { tenant, id }, undefined, { signal });
      return boolOf(fieldsOf(head, 'cancelled').found, 'found');
    },
  };
}

function queryOf(value: unknown): RunningQuery {
  const { id, tenant, query, start, end, step, forMs } = fieldsOf(value, 'query');
  return {
    id: countOf(id, 'id'),
    tenant: nameOf(tenant),
    query: textOf(query, 'query', TEXT_CHARS_MAX),
    start: textOf(start, 'start', TEXT_CHARS_MAX),
    end: textOf(end, 'end', TEXT_CHARS_MAX),
    step: textOf(step, 'step', TEXT_CHARS_MAX),
    forMs: numberOf(forMs, 'forMs'),
  };
}

/** A tenant, or several by a joined name. */
function nameOf(value: unknown): string {
  return textOf(value, 'tenant', TEXT_CHARS_MAX);
}
