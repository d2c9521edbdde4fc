import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GeneratorUrlTemplate } from './generator-url.ts';

test('addresses of alerts are expanded with the external URL and the expression', () => {
  const template = GeneratorUrlTemplate.parse('{{ .ExternalURL }}/explore?expr={{ urlquery .Expression }}');
  assert.equal(template.url('https://x', 'a > 1'), 'https://x/explore?expr=a+%3E+1');
  assert.throws(() => GeneratorUrlTemplate.parse('{{ .Nope }}'), /can't evaluate field Nope/);
  assert.throws(() => GeneratorUrlTemplate.parse('{{ .Expression'), /unclosed action/);
  assert.throws(() => GeneratorUrlTemplate.parse('x'.repeat(20_000)), /template_text_bytes_max/);
});
