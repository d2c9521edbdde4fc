import { Labels } from 'pallium/promql';

/**
 * The smallest store that the engine can read: series in an array. Each has `labels` (an object), `times` (Unix ms, ascending) and
 * `values`.
 */
export class SeriesList {
  #series;

  constructor(series) {
    this.#series = series.map(({ labels, times, values }) => ({ labels: Labels.of(labels), times, values }));
    // the engine counts on this order
    this.#series.sort((a, b) => Labels.compare(a.labels, b.labels));
  }

  /** The series that match are announced first; then the engine reads them one by one into columns of its own. */
  async select({ matchers, startMs, endMs }) {
    const found = this.#matching([matchers], startMs, endMs);
    return {
      series: found.map(({ labels }) => labels),
      warnings: [],
      read: (index, out) => {
        const { times, values } = found[index];
        out.clear();
        for (let i = 0; i < times.length; i++) {
          if (times[i] >= startMs && times[i] <= endMs) out.pushFloat(times[i], values[i]);
        }
      },
      close: () => {},
    };
  }

  async labelNames({ matchers, startMs, endMs }) {
    const names = this.#matching(matchers, startMs, endMs).flatMap(({ labels }) => [...labels].map(([name]) => name));
    return { values: [...new Set(names)].sort(), warnings: [] };
  }

  async labelValues(name, { matchers, startMs, endMs }) {
    const values = this.#matching(matchers, startMs, endMs).map(({ labels }) => labels.get(name));
    return { values: [...new Set(values)].filter((value) => value !== '').sort(), warnings: [] };
  }

  /** All matchers of one list must hold, of the lists any; no list: everything. */
  #matching(lists, startMs, endMs) {
    return this.#series.filter(({ labels, times }) => {
      const matches = lists.some((matchers) => matchers.every((matcher) => matcher.matches(labels.get(matcher.name))));
      return (matches || lists.length === 0) && times.some((time) => time >= startMs && time <= endMs);
    });
  }
}
