import assert from 'node:assert/strict';
import { test } from 'node:test';
import { maskSecrets } from './mask.ts';
import { threadCpuMs } from './test-thread-cpu.ts';

test('secrets of addresses are masked, all else stays', () => {
  for (const [text, masked] of [
    ['https://ann:pw@host:9/x?y=1', 'https://ann:********@host:9/x?y=1'],
    ['redis://:p%40w@host', 'redis://:********@host'],
    ['http://u:p@ss@host/', 'http://u:********@host/'],
    ['https://ghp_0123456789@host/x', 'https://********@host/x'],
    [
      'fetch of https://a:b@c failed, then https://d:e@f',
      'fetch of https://a:********@c failed, then https://d:********@f',
    ],
    ['https://acc.blob/x?sv=1&sig=abc%2Fd&se=2', 'https://acc.blob/x?sv=1&sig=********&se=2'],
    ['/b?X-Amz-Signature=ff&X-Amz-Credential=k/s', '/b?X-Amz-Signature=********&X-Amz-Credential=********'],
    ['AccountName=a;AccountKey=a+b==;Suffix=x', 'AccountName=a;AccountKey=********;Suffix=x'],
    ['/api/v1/query?query=up{a="b@c"}&access_token=t0', '/api/v1/query?query=up{a="b@c"}&access_token=********'],
    ['http://host:9009/api/v1/query?query=m@1', 'http://host:9009/api/v1/query?query=m@1'],
    ['token-ring=3 signatures=2 // comment @ here', 'token-ring=3 signatures=2 // comment @ here'],
  ] as const)
    assert.equal(maskSecrets(text), masked);
});

test('long texts are masked in linear time', () => {
  for (const unit of ['//', '//a:', 'token', 'sig=', '?x-amz-', '//a@']) {
    const startMs = threadCpuMs();
    maskSecrets(unit.repeat(200_000));
    assert.ok(threadCpuMs() - startMs < 2_000, unit);
  }
});
