import { columnsOf, type RawAnswer, transferable } from './columns.ts';
import type { AnswerMessage, CancelMessage, QueryMessage } from './query-messages.ts';

// Asks queries and reads their answers away from the page, which stays at hand however long they are.

const underWay = new Map<number, AbortController>();
const page = self as unknown as {
  onmessage: (event: MessageEvent<QueryMessage | CancelMessage>) => void;
  postMessage(message: AnswerMessage, transfer?: Transferable[]): void;
};

page.onmessage = ({ data }) => {
  if ('cancel' in data) underWay.get(data.cancel)?.abort();
  else void answer(data);
};

async function answer({ id, url, form, tenant, grid, seriesMax, isDashboard }: QueryMessage): Promise<void> {
  const abort = new AbortController();
  underWay.set(id, abort);
  try {
    const response = await fetch(url, {
      method: 'POST',
      signal: abort.signal,
      headers: {
        'Content-Type': 'application/x-www-form-urlencoded',
        ...(tenant !== '' && { 'X-Scope-OrgID': tenant }),
        // as Grafana's data sources say it, for the counts of what metrics are asked for
        ...(isDashboard && { 'X-Dashboard-Uid': 'pallium' }),
      },
      body: form,
    });
    const text = await response.text();
    if (!response.ok) return page.postMessage({ id, status: response.status, body: text });
    const startedMs = performance.now();
    const columns = columnsOf(JSON.parse(text) as RawAnswer, grid, seriesMax, text.length);
    page.postMessage({ id, answer: columns, parsedMs: performance.now() - startedMs }, transferable(columns));
  } catch (thrown) {
    if (abort.signal.aborted) return;
    const isNetwork = thrown instanceof TypeError;
    page.postMessage({ id, status: 0, body: isNetwork ? 'the server cannot be reached' : String(thrown) });
  } finally {
    underWay.delete(id);
  }
}
