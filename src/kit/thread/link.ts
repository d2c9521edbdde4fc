import type { CallOptions, Channel, RequestOf, ResponseOf, Role } from './channel.ts';

/** The way to a role whose thread may be replaced: calls go to the one that is there now. */
export class Link<R extends Role> implements Pick<Channel<R>, 'call'> {
  #channel: Channel<R>;

  constructor(channel: Channel<R>) {
    this.#channel = channel;
  }

  call<M extends keyof R & string>(
    method: M,
    request: RequestOf<R, M>,
    options?: CallOptions<ResponseOf<R, M>>,
  ): Promise<ResponseOf<R, M>> {
    return this.#channel.call(method, request, options);
  }

  /** Calls under way to the one before fail with `reason`, unless they have. */
  replace(channel: Channel<R>, reason: Error): void {
    this.#channel.close(reason);
    this.#channel = channel;
  }
}
