import { test } from 'node:test';
import { endToEnd } from '../backends/e2e.ts';

test('end to end with the embedded store, groups in files', () => endToEnd([]));
test('end to end with the embedded store, groups in rows', () => endToEnd(['-schema.object-store=none']));
