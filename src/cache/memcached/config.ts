import { bytes, count, duration, list, secret, text } from '../../kit/config/field.ts';
import { storeSection } from '../../kit/store/section.ts';

export const memcachedConfig = storeSection('cache.memcached', 'memcached', 'Caches in memcached.', {
  addresses: list({ help: 'Hosts and ports of the servers. Keys are spread over them.' }),
  username: text({ help: 'User name, where the servers want one.' }),
  password: secret({ help: 'Password of the user.' }),
  keyPrefix: text({ default: 'pallium:', help: 'Set before each key, for those who share servers.' }),
  timeoutMs: duration({ default: '200ms', help: 'A call that takes longer counts as a miss.' }),
  maxItemSize: bytes({
    default: '1000KiB',
    help: 'Larger values are not sent. The servers have a limit of their own.',
  }),
  maxConcurrency: count({ default: 64, min: 1, help: 'Calls under way at once, per process.' }),
});

export type MemcachedConfig = typeof memcachedConfig.type;
