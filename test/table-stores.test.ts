import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedTableStore } from '../src/table/embedded.ts';
import { MemoryTableStore } from '../src/table/memory.ts';
import { tableSuite } from './backends/table-suite.ts';

const dir = mkdtempSync(join(tmpdir(), 'pallium-tables-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));

tableSuite({ name: 'memory', open: async () => new MemoryTableStore() });
tableSuite({ name: 'embedded', open: () => EmbeddedTableStore.open({ dir }) });
