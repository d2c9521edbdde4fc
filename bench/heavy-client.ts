import { parentPort, workerData } from 'node:worker_threads';

// Client of the heavy queries of bench/fairness.ts, in a thread of its own: who reads answers of tens of megabytes is late with all else
// that it does, which would be measured with the light ones.

export interface HeavyClientData {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** All of them are asked for at once. */
  readonly paths: readonly string[];
}

/** Told of each answer. */
export interface HeavyAnswer {
  readonly status: number;
  readonly bytes: number;
  /** Body of an error. */
  readonly text: string;
}

const { url, headers, paths } = workerData as HeavyClientData;

async function ask(path: string): Promise<HeavyAnswer> {
  const { status, body } = await fetch(url + path, { headers });
  let bytes = 0;
  let text = '';
  for await (const part of body ?? []) {
    bytes += part.length;
    if (status !== 200) text += Buffer.from(part).toString();
  }
  return { status, bytes, text: text.slice(0, 200) };
}

await Promise.all(
  paths.map((path) =>
    ask(path).then(
      (answer) => parentPort!.postMessage(answer),
      // the server ends before all are answered
      () => {},
    ),
  ),
);
