import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultLimits, type TemplateLimits } from './budget.ts';
import { TemplateError } from './parser.ts';
import { Templates } from './templates.ts';
import { ANY_MAP, map, type Value } from './value.ts';

const data = map(
  new Map<string, Value>([
    ['name', 'host'],
    ['count', 3n],
    ['bad', '<script>alert("x")</script>'],
  ]),
  ANY_MAP,
);

function templates(limits: Partial<TemplateLimits> = {}, nowMs = () => 0): Templates {
  return Templates.of({
    functions: new Map(),
    missingKey: 'invalid',
    limits: { ...defaultLimits, ...limits },
    nowMs,
  });
}

function text(template: string, limits: Partial<TemplateLimits> = {}): string {
  return templates(limits).with('t', template).text('t', data);
}

function html(template: string, limits: Partial<TemplateLimits> = {}): string {
  return templates(limits).with('t', template).html('t', data);
}

function fails(work: () => unknown, message: string): void {
  assert.throws(work, (thrown) => {
    assert.ok(thrown instanceof TemplateError);
    assert.equal(thrown.message, message);
    return true;
  });
}

test('text of every shape of statement', () => {
  for (const [template, expected] of [
    ['{{range .count}}{{if eq . 1}}{{continue}}{{end}}{{.}},{{end}}', '0,2,'],
    ['{{range .count}}{{if eq . 1}}{{break}}{{end}}{{.}},{{else}}none{{end}}', '0,'],
    ['{{range .none}}x{{else}}none{{end}}', 'none'],
    ['{{with .none}}x{{else with .name}}{{.}}{{end}}', 'host'],
    ['{{define "d"}}[{{.}}]{{end}}{{template "d" .name}}{{block "b" .count}}<{{.}}>{{end}}', '[host]<3>'],
    ['a \n {{- " b " -}} \n c', 'a b c'],
    ['{{printf "%05.1f|%-4d|%+q|%x|%T" 3.14159 7 "é" "hi" .count}}', '003.1|7   |"\\u00e9"|6869|int'],
    ['{{len "é"}} {{index "é" 0}} {{slice "hello" 1 3}}', '2 195 el'],
    ['{{.none}} {{.name | printf "%s %s" "x"}}', '<no value> x host'],
  ] as const) {
    assert.equal(text(template), expected, template);
  }
  fails(
    () => text('{{range $i, $x := .count}}{{end}}'),
    `template: t:1:18: executing "t" at <.count>: can't use 3 to iterate over more than one variable`,
  );
});

test('values are escaped for where they stand in HTML', () => {
  assert.equal(
    html('<a href="{{.bad}}" title={{.bad}}>{{.bad}}</a>'),
    '<a href="%3cscript%3ealert%28%22x%22%29%3c/script%3e" ' +
      'title=&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;>&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;</a>',
  );
  assert.equal(
    html('<script>f({{.bad}})</script>'),
    '<script>f("\\u003cscript\\u003ealert(\\"x\\")\\u003c/script\\u003e")</script>',
  );
  assert.equal(html('<b style="color: {{.bad}}">'), '<b style="color: ZgotmplZ">');
  fails(
    () => html('{{if .name}}<a href="{{end}}x'),
    'html/template:t:1:5: {{if}} branches end in different contexts: ' +
      '{stateURL delimDoubleQuote urlPartNone jsCtxRegexp [] attrURL elementNone <nil>}, ' +
      '{stateText delimNone urlPartNone jsCtxRegexp [] attrNone elementNone <nil>}',
  );
});

test('a later text replaces templates of the same name, unless it is empty', () => {
  const first = templates().with('a', '{{define "x"}}one{{end}}{{template "x"}}');
  assert.equal(first.with('b', '{{define "x"}}two{{end}}').text('a', data), 'two');
  assert.equal(first.with('b', '{{define "x"}} {{end}}').text('a', data), 'one');
  assert.equal(first.text('a', data), 'one');
  fails(
    () => first.with('c', '{{define "x"}}1{{end}}{{define "x"}}2{{end}}'),
    'template: c:1: template: multiple definition of template "x"',
  );
});

test('what takes too much is refused with the limit and the place', () => {
  fails(
    () => text('x\n {{range 1000000000}}{{end}}', { stepsMax: 1000 }),
    'template: t:2:9: executing "t" at <1000000000>: limit of 1000 steps exceeded (template_steps_max)',
  );
  fails(
    () => text('{{define "t2"}}{{template "t2"}}{{end}}{{template "t2"}}'),
    'template: t:1:26: executing "t2" at <{{template "t2"}}>: exceeded maximum template depth (300)',
  );
  fails(
    () => text('{{range 100}}0123456789{{end}}', { outputBytesMax: 100 }),
    'template: t:1:13: executing "t" at <0123456789>: output limit of 100 bytes exceeded (template_output_bytes_max)',
  );
  fails(
    () => text('{{$x := "0123456789"}}{{range 100}}{{$x = print $x $x}}{{end}}', { valueBytesMax: 1 << 20 }),
    'template: t:1:51: executing "t" at <$x>: limit of 1048576 bytes of values exceeded (template_value_bytes_max)',
  );
  fails(
    () => text('{{printf "%999999d%999999d" 1 2}}', { valueBytesMax: 1_500_000 }),
    'template: t:1:30: executing "t" at <2>: limit of 1500000 bytes of values exceeded (template_value_bytes_max)',
  );
  fails(
    () => text('{{if 1}}'.repeat(101) + '{{end}}'.repeat(101)),
    'template: t:1: nesting limit of 100 exceeded (template_nesting_max)',
  );
  fails(() => text(`{{${'('.repeat(101)}1${')'.repeat(101)}}}`), 'template: t:1: max expression depth exceeded');
  fails(
    () => text('0123456789', { textBytesMax: 9 }),
    'template: t: text of 10 bytes: limit of 9 bytes exceeded (template_text_bytes_max)',
  );
  let nowMs = 0;
  const slow = templates({ durationMsMax: 50 }, () => nowMs++).with('t', '{{range 1000000}}{{end}}');
  assert.throws(() => slow.text('t', data), /time limit of 50 ms exceeded \(template_duration_max\)/);
});

test('HTML that would be looked at again and again is bounded too', () => {
  // each loop is looked at twice, so loops inside each other take 2 to the power of their number
  const loops = '{{range .none}}<p>'.repeat(60) + '{{end}}'.repeat(60);
  fails(() => html(loops), 'html/template:t: limit of 1000000 steps exceeded (template_steps_max)');
  // each call stands in a context of its own
  const calls = '{{define "d"}}<script>`\x24{ {{template "d"}} }`</script>{{end}}{{template "d"}}';
  assert.throws(() => html(calls), TemplateError);
});
