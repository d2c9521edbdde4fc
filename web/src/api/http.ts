import { apiUrl } from '../base.ts';
import { ApiProblem, problemOf } from './problem.ts';

export interface ApiCall {
  readonly path: string;
  readonly params?: URLSearchParams;
  readonly tenant: string;
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly json?: unknown;
  /** YAML. */
  readonly text?: string;
  readonly form?: URLSearchParams;
  /** The form that is wanted, where there are several. */
  readonly accept?: string;
}

/** Told when an answer says that nobody is logged in any more. */
export const loginNeeded = new EventTarget();

/** @throws ApiProblem */
export async function send(call: ApiCall, signal?: AbortSignal): Promise<Response> {
  const { path, params, tenant, method = 'GET', json, text, form, accept } = call;
  let response: Response;
  try {
    response = await fetch(apiUrl(path, params), {
      method,
      signal: signal ?? null,
      headers: {
        ...(tenant !== '' && { 'X-Scope-OrgID': tenant }),
        ...(accept !== undefined && { Accept: accept }),
        ...(json !== undefined && { 'Content-Type': 'application/json' }),
        ...(text !== undefined && { 'Content-Type': 'application/yaml' }),
      },
      // of a form the browser says what it is
      body: json === undefined ? (text ?? form ?? null) : JSON.stringify(json),
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiProblem(0, 'the server cannot be reached');
  }
  if (response.ok) return response;
  if (response.status === 401) loginNeeded.dispatchEvent(new Event('needed'));
  throw problemOf(response.status, await response.text());
}

/** `data` of an answer of the API. @throws ApiProblem */
export async function fetchData<T>(call: ApiCall, signal?: AbortSignal): Promise<T> {
  const response = await send(call, signal);
  return ((await response.json()) as { data: T }).data;
}

/** The same call for a shell. */
export function curlOf({ path, params, tenant }: ApiCall): string {
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const parts = ['curl -sG', quote(apiUrl(path))];
  if (tenant !== '') parts.push('-H', quote(`X-Scope-OrgID: ${tenant}`));
  for (const [name, value] of params ?? []) parts.push('--data-urlencode', quote(`${name}=${value}`));
  return parts.join(' ');
}
