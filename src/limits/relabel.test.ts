// biome-ignore-all lint/suspicious/noTemplateCurlyInString: templates of relabelling look like those of JavaScript
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { Labels } from '../model/labels.ts';
import { Relabelling } from './relabel.ts';

/** `a=1 b=2` → labels, and back; `-` is a dropped series. */
function labelsOf(text: string): Labels {
  return Labels.fromEntries(text.split(' ').map((pair) => pair.split('=') as [string, string]));
}

function show(labels: Labels | undefined): string {
  return labels === undefined ? '-' : [...labels].map(([name, value]) => `${name}=${value}`).join(' ');
}

const cases: [step: string, before: string, after: string][] = [
  ['{source_labels: [a], regex: f(.*), target_label: d, replacement: ch-$1}', 'a=foo b=bar', 'a=foo b=bar d=ch-oo'],
  [
    '{source_labels: [a, b], regex: "f(.*);(.*)r", target_label: a, replacement: "b${1}${2}m"}',
    'a=foo b=bar',
    'a=boobam b=bar',
  ],
  ['{source_labels: [a], regex: no, target_label: d, replacement: x}', 'a=foo', 'a=foo'],
  ['{source_labels: [a], target_label: a, replacement: ""}', 'a=foo b=1', 'b=1'],
  ['{target_label: env, replacement: prod}', 'a=1', 'a=1 env=prod'],
  ['{source_labels: [a], regex: "(?P<x>.)(.*)", target_label: "${x}_new", replacement: $2}', 'a=foo', 'a=foo f_new=oo'],
  ['{source_labels: [a], target_label: "$1"}', 'a=', 'a='],
  ['{source_labels: [a], target_label: b, replacement: "$$1$"}', 'a=1', 'a=1 b=$1$'],
  ['{source_labels: [a], regex: foo, action: drop}', 'a=foo', '-'],
  ['{source_labels: [a], regex: fo, action: drop}', 'a=foo', 'a=foo'],
  ['{source_labels: [a], regex: f.., action: keep}', 'a=foo', 'a=foo'],
  ['{source_labels: [a], regex: b.., action: KEEP}', 'a=foo', '-'],
  ['{source_labels: [a], target_label: b, action: keepequal}', 'a=1 b=1', 'a=1 b=1'],
  ['{source_labels: [a], target_label: b, action: dropequal}', 'a=1 b=1', '-'],
  [
    '{source_labels: [c], target_label: d, action: hashmod, modulus: 1000}',
    'a=foo b=bar c=baz',
    'a=foo b=bar c=baz d=976',
  ],
  [
    '{regex: "(b.*)", replacement: "bar_$1", action: labelmap}',
    'a=foo b1=bar b2=baz',
    'a=foo b1=bar b2=baz bar_b1=bar bar_b2=baz',
  ],
  ['{regex: "(b.*)", action: labeldrop}', 'a=foo b1=bar b2=baz', 'a=foo'],
  ['{regex: "(b.*)", action: labelkeep}', 'a=foo b1=bar b2=baz', 'b1=bar b2=baz'],
  ['{source_labels: [a], target_label: b, action: uppercase}', 'a=bAr', 'a=bAr b=BAR'],
  ['{source_labels: [a], target_label: b, action: lowercase}', 'a=bAr', 'a=bAr b=bar'],
];

for (const [step, before, after] of cases) {
  test(`${step} on ${before}`, () =>
    assert.equal(
      show(Relabelling.parse([parse(step)]).apply(labelsOf(before))),
      show(after === '-' ? undefined : labelsOf(after)),
    ));
}

test('steps follow each other; none changes nothing', () => {
  const steps = parse('[{regex: a, action: labeldrop}, {source_labels: [a], regex: "1", action: drop}]');
  assert.equal(show(Relabelling.parse(steps).apply(labelsOf('a=1 b=2'))), 'b=2');
  assert.equal(Relabelling.none.isEmpty, true);
  const labels = labelsOf('a=1');
  assert.equal(Relabelling.none.apply(labels), labels);
});

test('lists of thousands of names are taken', () => {
  const names = Array.from({ length: 3000 }, (_, i) => `some_metric_${i}_of_many_total`).join('|');
  const drop = Relabelling.parse([{ source_labels: ['__name__'], regex: names, action: 'drop' }]);
  const mark = Relabelling.parse([
    { source_labels: ['__name__'], regex: names, target_label: 'kind', replacement: 'x' },
  ]);
  const labels = (name: string) => Labels.of({ __name__: name });
  assert.equal(drop.apply(labels('some_metric_7_of_many_total')), undefined);
  assert.equal(drop.apply(labels('some_metric_7'))?.metricName, 'some_metric_7');
  assert.equal(mark.apply(labels('some_metric_7_of_many_total'))?.get('kind'), 'x');
});

test('what is no step is refused by its number', () => {
  for (const [steps, why] of [
    ['[{action: nope}]', /action/],
    ['[{action: keep}, {action: hashmod, target_label: a}]', /^step 2: hashmod requires a modulus/],
    ['[{source_labels: [a]}]', /^step 1: replace requires target_label/],
    ['[{target_label: a, regex: "("}]', /^step 1: /],
    ['[{target_label: "$bad-", source_labels: [a]}]', /is no target_label for replace/],
    ['[{action: labeldrop, source_labels: [a]}]', /labeldrop takes no source_labels/],
    ['[{action: lowercase, target_label: a, replacement: b}]', /lowercase takes no replacement/],
    ['[{action: dropequal, target_label: a, regex: b}]', /dropequal takes no regex/],
    ['[{action: labelmap, replacement: "a-b"}]', /is no replacement for labelmap/],
    ['[{targetlabel: a}]', /targetlabel/],
    ['{}', /a list is wanted/],
  ] as const) {
    assert.throws(
      () => Relabelling.parse(parse(steps)),
      (error: Error) => error instanceof RangeError && why.test(error.message),
      steps,
    );
  }
});
