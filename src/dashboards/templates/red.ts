import { isOfFamily, RED_VARIANTS, redQueries } from '../red-family.ts';
import { lines, type PanelTemplate, type Template } from '../template.ts';

/** Rate, errors and duration of requests, for each convention. */
export const redTemplates: readonly Template[] = RED_VARIANTS.map((family) => {
  const whole = redQueries(family, [], '$own', '$range');
  const panels: PanelTemplate[] = [
    lines('Requests', 'requests/sec', [whole.rate, 'requests'], [whole.errors, 'failed']),
    lines('Error ratio', 'percent-decimal', [whole.errorRatio, 'failed']),
  ];
  if (family.duration !== undefined) {
    panels.push(
      lines('Duration', 'seconds', ...[0.5, 0.9, 0.99].map((q) => [whole.quantile(q)!, `p${q * 100}`] as const), [
        whole.mean!,
        'mean',
      ]),
    );
  }
  for (const label of family.labels.slice(0, 3)) {
    const { rate, quantile } = redQueries(family, [label], '$own', '$range');
    // series without the label would be a part without a name
    const named = (expr: string) => expr.replaceAll('$own', `$own,${label}!=""`);
    panels.push(lines(`Requests by ${label}`, 'requests/sec', [`topk(20, ${named(rate)})`, `{{${label}}}`]));
    if (family.duration !== undefined) {
      panels.push(lines(`p99 by ${label}`, 'seconds', [`topk(20, ${named(quantile(0.99)!)})`, `{{${label}}}`]));
    }
  }
  return {
    id: family.id,
    title: family.title,
    scope: family.owner === undefined ? 'own' : 'mesh',
    signs: [family.requests],
    isMeant: (has) => isOfFamily(family, has),
    panels,
  };
});
