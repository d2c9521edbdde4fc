import { bytes, count, duration, secret, text, toggle } from '../../kit/config/field.ts';
import { storeSection } from '../../kit/store/section.ts';

export const redisConfig = storeSection('cache.redis', 'redis', 'Caches in Redis.', {
  endpoint: text({ default: '127.0.0.1:6379', help: 'Host and port of the server.' }),
  username: text({ help: 'User name, where the server wants one.' }),
  password: secret({ help: 'Password of the user.' }),
  db: count({ default: 0, help: 'Number of the database.' }),
  tlsEnabled: toggle({ default: false, help: 'Encrypt the connection.' }),
  keyPrefix: text({ default: 'pallium:', help: 'Set before each key, for those who share a server.' }),
  timeoutMs: duration({ default: '500ms', help: 'A call that takes longer counts as a miss.' }),
  maxItemSize: bytes({ default: '16MiB', help: 'Larger values are not sent.' }),
  maxConcurrency: count({ default: 64, min: 1, help: 'Calls under way at once, per process.' }),
});

export type RedisConfig = typeof redisConfig.type;
