/** Where a shard's lines go: it may be in a thread that has no log of its own. */
export type ShardLog = (level: 'info' | 'warn' | 'error', text: string, fields?: Record<string, unknown>) => void;
