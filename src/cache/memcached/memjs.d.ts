/** The part of memjs that we use; it comes without types. */
declare module 'memjs' {
  interface Options {
    retries?: number;
    /** Seconds. */
    timeout?: number;
    conntimeout?: number;
    failover?: boolean;
    failoverTime?: number;
    username?: string;
    password?: string;
    keepAlive?: boolean;
    logger?: { log(...parts: unknown[]): void };
  }
  class Client {
    static create(servers: string, options?: Options): Client;
    get(key: string): Promise<{ value: Buffer | null }>;
    set(key: string, value: Buffer, options: { expires: number }): Promise<boolean>;
    close(): void;
  }
  const memjs: { Client: typeof Client };
  export default memjs;
}
