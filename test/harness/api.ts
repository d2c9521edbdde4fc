/** An answer of the Prometheus API. */
export interface ApiAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

export interface ApiData {
  readonly resultType: string;
  readonly result: readonly ApiSeries[];
}

export interface ApiSeries {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
}

/** Asks a server that speaks the Prometheus API. */
export class ApiClient {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    this.url = url;
    this.headers = headers;
  }

  async ask(path: string, init: RequestInit = {}): Promise<ApiAnswer> {
    const answer = await fetch(this.url + path, {
      ...init,
      headers: { ...this.headers, ...(init.headers as Record<string, string> | undefined) },
    });
    return { status: answer.status, contentType: answer.headers.get('content-type') ?? '', text: await answer.text() };
  }

  /** The `data` of a success. @throws with status and text for anything else */
  async data<T = unknown>(path: string, params: Readonly<Record<string, string | number>> = {}): Promise<T> {
    const query = new URLSearchParams(
      Object.entries(params).map(([name, value]): [string, string] => [name, String(value)]),
    );
    const { status, text } = await this.ask(query.size === 0 ? path : `${path}?${query}`);
    if (status !== 200) throw new Error(`${path}?${query}: ${status} ${text.slice(0, 300)}`);
    return (JSON.parse(text) as { data: T }).data;
  }

  /** @param time Unix seconds */
  instant(query: string, time: number): Promise<ApiData> {
    return this.data('/api/v1/query', { query, time });
  }

  range(query: string, start: number, end: number, step: number): Promise<ApiData> {
    return this.data('/api/v1/query_range', { query, start, end, step });
  }
}
