import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AlertTemplateContext, checkAlertTemplate, expandAlert } from './prometheus.ts';

const context: AlertTemplateContext = {
  timeMs: 1_767_225_600_000,
  externalUrl: 'http://host/base',
  query: async () => [],
  nowMs: () => performance.now(),
};
const data = { labels: [['job', 'node']] as const, externalLabels: [], value: 1 };

test('queries of a template are answered one after the other', async () => {
  const asked: string[] = [];
  const query = async (expression: string) => {
    asked.push(expression);
    if (expression === 'bad(') throw new Error('parse error');
    return [{ labels: [['next', `${expression}2`]] as const, value: 5 }];
  };
  const template = '{{ query "a" | first | label "next" | query | first | value }} {{ query "a" | len }}';
  assert.equal(await expandAlert('x', template, data, { ...context, query }), '5 1');
  assert.deepEqual(asked, ['a', 'a2']);
  await assert.rejects(expandAlert('x', '{{ query "bad(" }}', data, { ...context, query }), {
    message:
      'error executing template __alert_x: template: __alert_x:1:115: executing "__alert_x" at <query "bad(">: ' +
      'error calling query: parse error',
  });
});

test('a template asks for so many results only', async () => {
  const template = '{{ range 9 }}{{ query (print "q" .) }}{{ end }}';
  await assert.rejects(expandAlert('x', template, data, { ...context, queriesMax: 5 }), {
    message: 'error executing template __alert_x: limit of 5 queries exceeded (template_queries_max)',
  });
});

test('a histogram as the value prints itself and is no number', async () => {
  const histogram = { ...data, value: { histogram: '{count:1, sum:2}' } };
  assert.equal(
    await expandAlert('x', '{{ $value }} {{ .Value }}', histogram, context),
    '{count:1, sum:2} {count:1, sum:2}',
  );
  await assert.rejects(
    expandAlert('x', '{{ $value | humanize }}', histogram, context),
    /can't convert \*histogram\.FloatHistogram to float$/,
  );
});

test('expressions that cost too much are refused', async () => {
  const costly = ['((a{99}){99}){99}', 'a{1000}{1000}', `${'(x*)*'.repeat(2000)}`];
  for (const pattern of costly) {
    const startMs = performance.now();
    await assert.rejects(
      expandAlert('x', `{{ reReplaceAll "${pattern}" "x" "y" }}`, data, context),
      /error parsing regexp: /,
    );
    assert.ok(performance.now() - startMs < 2000, pattern);
  }
});

test('a template is checked without being run', () => {
  checkAlertTemplate('x', '{{ query "up" | first | value }} {{ $labels.job }}');
  assert.throws(() => checkAlertTemplate('x', '{{ $nope }}'), {
    message: 'template: __alert_x:1: undefined variable "$nope"',
  });
});

test('a negative nothing is nothing', async () => {
  assert.equal(await expandAlert('x', '{{ parseDuration "-0" }}', data, context), '0');
});
