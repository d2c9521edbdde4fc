import { until } from '../test/harness/wait.ts';

/** Waits until a server has no window in memory: what was flushed has left it. */
export async function emptyHead({ url }: { readonly url: string }): Promise<void> {
  await until('an empty head', async () => {
    const text = await (await fetch(`${url}/metrics`)).text();
    const windows = [...text.matchAll(/^pallium_ingester_windows\{.*\} (\d+)/gm)];
    return windows.length > 0 && windows.every(([, count]) => count === '0');
  });
}
