import type { ApiSources } from '../api/sources.ts';
import type { QueryRunner } from '../contract/query.ts';
import type { RulePreviewer } from '../contract/rules.ts';
import type { LimitedBudget } from '../limits/query-budget.ts';
import type { Queryable } from '../storage/queryable.ts';

export type PreviewSources = Pick<ApiSources, 'queries' | 'queryable' | 'syntax' | 'timeoutMs' | 'clock'> & {
  over(queryable: Queryable): QueryRunner;
  memory(): LimitedBudget;
};

/** Tries rules in the thread that evaluates queries. Few do: what it takes is loaded when it is needed. */
export function rulePreviewer(sources: PreviewSources): RulePreviewer {
  const { queries, syntax: parser, timeoutMs, clock } = sources;
  return {
    async preview(tenant, request, signal) {
      const { previewRules } = await import('../ruler/preview.ts');
      const budget = sources.memory();
      const stored = sources.queryable(tenant);
      try {
        const over = (queryable: Queryable) => sources.over(queryable);
        return await previewRules(request, { tenant, parser, queries, stored, over, budget, timeoutMs, clock, signal });
      } finally {
        budget.close();
      }
    },
    async test(tenant, request, signal) {
      const { testRules } = await import('../ruler/unit-test/test-rules.ts');
      const over = (queryable: Queryable) => sources.over(queryable);
      return testRules(request, { tenant, parser, over, timeoutMs, clock, signal });
    },
  };
}
