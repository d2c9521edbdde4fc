import type { ApiResponse } from '../../contract/api.ts';
import type { Pacer } from '../../lib/pacer.ts';

const utf8 = new TextEncoder();

export function jsonAnswer(value: unknown, status = 200): ApiResponse {
  return { status, contentType: 'application/json', body: utf8.encode(`${JSON.stringify(value)}\n`) };
}

/** A list that may be long, written in turns. */
export async function jsonListAnswer<T>(
  items: readonly T[],
  shown: (item: T) => object,
  pacer: Pacer,
): Promise<ApiResponse> {
  let text = '[';
  for (const [i, item] of items.entries()) {
    await pacer.step();
    text += `${i === 0 ? '' : ','}${JSON.stringify(shown(item))}`;
  }
  return jsonTextAnswer(`${text}]`);
}

export function jsonTextAnswer(text: string): ApiResponse {
  return { status: 200, contentType: 'application/json', body: utf8.encode(`${text}\n`) };
}

export function textAnswer(text: string, status: number): ApiResponse {
  return { status, contentType: 'text/plain; charset=utf-8', body: utf8.encode(text === '' ? '' : `${text}\n`) };
}

export function yamlAnswer(text: string): ApiResponse {
  return { status: 200, contentType: 'application/yaml', body: utf8.encode(text) };
}

export function emptyAnswer(status: number): ApiResponse {
  return { status, contentType: 'application/json', body: new Uint8Array(0) };
}
