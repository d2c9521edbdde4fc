import { MemoryStorage } from '../../../src/ruler/unit-test/memory-storage.ts';
import { loadedItems } from './loaded-items.ts';
import type { TestStorage } from './runner.ts';
import type { LoadCommand } from './script.ts';

/** Memory that scripts load. */
export class LoadedStorage extends MemoryStorage implements TestStorage {
  load(command: LoadCommand): void {
    for (const { labels, timeMs, item, startMs } of loadedItems(command)) this.append(labels, timeMs, item, startMs);
  }
}
