import { ConfigError } from '../kit/config/problem.ts';
import { serveWorker } from '../kit/thread/worker.ts';
import { type OverridesMessage, packOverrides, parseOverrides } from './overrides.ts';

// Reads a large file of overrides off the main thread.

const role = {
  parse({
    source,
    file,
  }: {
    source: string;
    file: string;
  }): { readonly overrides: OverridesMessage } | { readonly problems: readonly string[] } {
    try {
      return { overrides: packOverrides(parseOverrides(source, file)) };
    } catch (thrown) {
      if (thrown instanceof ConfigError) return { problems: thrown.problems };
      throw thrown;
    }
  },
};

export type OverridesRole = typeof role;

serveWorker(role);
