import { Anchor, Badge, Group, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { fetchData } from '../api/http.ts';
import { Failure } from '../parts/failure.tsx';
import { useScope } from '../scope.tsx';
import { Tile, tileStep } from './tile.tsx';
import { kindOf, type Matcher, type Metric, relatedTo, selectorOf, tileQuery } from './tile-query.ts';

const LABELS_MAX = 24;
const RELATED_MAX = 12;

/** One metric: as a whole, by each of its labels, and those near it. */
export function MetricDetail(props: {
  readonly metric: Metric;
  readonly matchers: readonly Matcher[];
  readonly names: readonly string[];
  readonly onMetric: (name: string | undefined) => void;
  readonly onMatcher: (matcher: Matcher) => void;
  readonly onHistograms: () => void;
}) {
  const { metric, matchers, names, onMetric, onHistograms } = props;
  const { tenant, rangeMs, endMs, round } = useScope();
  const stepMs = tileStep(rangeMs);
  const { data: labels, error } = useQuery({
    queryKey: ['labels-of', tenant, metric.name, matchers, rangeMs, endMs, round],
    queryFn: ({ signal }) => {
      const end = endMs ?? Date.now();
      const params = new URLSearchParams({
        'match[]': selectorOf(metric.name, matchers),
        start: String((end - rangeMs) / 1000),
        end: String(end / 1000),
      });
      return fetchData<string[]>({ path: '/api/v1/labels', params, tenant }, signal);
    },
  });
  const own = (labels ?? []).filter(
    (name) => name !== '__name__' && name !== 'le' && !matchers.some(({ label }) => label === name),
  );
  const related = relatedTo(metric.name, names, RELATED_MAX);
  return (
    <>
      <Group gap="xs" mb="xs">
        <Anchor component="button" size="sm" onClick={() => onMetric(undefined)}>
          all metrics
        </Anchor>
        <Text fw={600} className="wrapped">
          {metric.name}
        </Text>
        <Badge size="xs" variant="light">
          {metric.type || kindOf(metric)}
        </Badge>
        <span className="dim wrapped">{metric.help}</span>
      </Group>
      {error && <Failure error={error} />}
      <div className="panel">
        <Tile expr={tileQuery(metric, matchers, stepMs)} onHistograms={onHistograms} />
      </div>
      <h2 className="explore-title">By label</h2>
      <div className="tiles">
        {own.slice(0, LABELS_MAX).map((label) => (
          <section key={label} className="panel" aria-label={`by ${label}`}>
            <strong className="wrapped">{label.slice(0, 100)}</strong>
            <Tile expr={tileQuery(metric, matchers, stepMs, label)} onHistograms={onHistograms} />
          </section>
        ))}
      </div>
      {own.length > LABELS_MAX && <p className="dim">{own.length - LABELS_MAX} more labels.</p>}
      {related.length > 0 && <h2 className="explore-title">Related</h2>}
      <Group gap="xs">
        {related.map((name) => (
          <Anchor key={name} component="button" size="sm" className="wrapped" onClick={() => onMetric(name)}>
            {name.slice(0, 120)}
          </Anchor>
        ))}
      </Group>
    </>
  );
}
