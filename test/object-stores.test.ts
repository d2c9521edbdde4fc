import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/lib/clock.ts';
import { FilesystemObjectClient } from '../src/object/filesystem.ts';
import { MemoryObjectClient } from '../src/object/memory.ts';
import { objectSuite } from './backends/object-suite.ts';

const dir = mkdtempSync(join(tmpdir(), 'pallium-objects-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));

objectSuite({ name: 'memory', open: async () => new MemoryObjectClient(systemClock) });
objectSuite({ name: 'filesystem', open: () => FilesystemObjectClient.open({ dir, clock: systemClock }) });
