import { MemoryKv } from '../src/kv/memory.ts';
import { kvSuite } from './backends/kv-suite.ts';

kvSuite({ name: 'memory', open: async () => new MemoryKv() });
