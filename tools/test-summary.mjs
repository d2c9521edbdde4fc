// A reporter for node:test that only says how many tests there were: the line that ends a run.

/** @param {AsyncIterable<{ type: string, data: any }>} events */
export default async function* summary(events) {
  for await (const { type, data } of events) {
    // one comes for each file, too
    if (type !== 'test:summary' || data.file !== undefined) continue;
    const { passed, failed, cancelled, skipped, todo } = data.counts;
    yield `\n${passed} passed, ${failed + cancelled} failed, ${skipped + todo} skipped\n`;
  }
}
