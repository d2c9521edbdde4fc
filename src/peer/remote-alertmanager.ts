import type { AlertmanagerMember } from '../contract/alertmanager.ts';
import type { ApiRequest, ApiResponse } from '../contract/api.ts';
import type { PostedAlert } from '../contract/rules.ts';
import type { RpcCaller } from '../kit/rpc/role.ts';
import { countOf, fieldsOf, textOf } from './shapes.ts';

const HEADER_CHARS_MAX = 64 * 1024;
/** Test sends wait for their receivers. */
const HANDLE_MS_MAX = 60_000;

/** An Alertmanager in another process: requests go over the wire to its `alertmanagerRole`. */
export class RemoteAlertmanager implements AlertmanagerMember {
  readonly #caller: RpcCaller;

  constructor(caller: RpcCaller) {
    this.#caller = caller;
  }

  async handle(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    const { tenant, method, path, params, user = '', body } = request;
    const asked = { tenant, method, path, params, user, hasBody: body !== undefined };
    const options = { signal, timeoutMs: HANDLE_MS_MAX };
    const { head, body: answered } = await this.#caller.call('alertmanagerHandle', asked, body, options);
    const { status, contentType, headers } = fieldsOf(head, 'answer');
    const pairs = Object.entries(fieldsOf(headers, 'headers'));
    return {
      status: countOf(status, 'status'),
      contentType: textOf(contentType, 'contentType', HEADER_CHARS_MAX),
      headers: Object.fromEntries(pairs.map(([name, value]) => [name, textOf(value, name, HEADER_CHARS_MAX)])),
      body: answered,
    };
  }

  async post(tenant: string, alerts: readonly PostedAlert[], signal: AbortSignal): Promise<void> {
    await this.#caller.call('alertmanagerPost', { tenant }, Buffer.from(JSON.stringify(alerts)), { signal });
  }

  async release(tenant: string, signal: AbortSignal): Promise<void> {
    await this.#caller.call('alertmanagerRelease', { tenant }, undefined, { signal });
  }
}
