import type { ApiResponse } from '../contract/api.ts';
import { success } from './answer.ts';
import type { Call } from './call.ts';
import { ApiError } from './error.ts';

/** `/api/v1/rule_test`: unit tests in promtool's format, run over a group of rules. */
export async function ruleTest({ params, request, sources, limits, signal }: Call): Promise<ApiResponse> {
  const { previewer } = sources;
  if (previewer === undefined || request.rules === undefined) throw ApiError.disabled('tests of rules');
  const [group, tests] = [params.get('group'), params.get('tests')];
  if (group === '') throw ApiError.invalidParam('group', 'a group of rules in YAML is wanted');
  if (tests === '') throw ApiError.invalidParam('tests', "a file of unit tests in promtool's format is wanted");
  const { rulesMax } = request.rules;
  const verdicts = await previewer.test(request.tenant, { group, tests, rulesMax }, signal);
  return success(limits, {}, (out) => out.json({ tests: verdicts }));
}
