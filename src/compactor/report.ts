import type { CompactionReport } from '../contract/control.ts';

export function emptyReport(): CompactionReport {
  return {
    tablesCreated: [],
    tablesDropped: [],
    tablesDue: [],
    retentionNowMs: Number.NEGATIVE_INFINITY,
    days: 0,
    daysRemoved: 0,
    sources: 0,
    groups: 0,
    samples: 0,
    bytes: 0,
    deletes: 0,
    swept: undefined,
    oldestOpenMs: 0,
    damaged: [],
    failures: [],
  };
}
