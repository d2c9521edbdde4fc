import type { TlsConfig } from '../fields/http-config.ts';

export interface MailServer {
  readonly host: string;
  readonly port: number;
  readonly hello: string;
  readonly username: string;
  readonly password: string;
  /** For CRAM-MD5. */
  readonly secret: string;
  readonly identity: string;
  readonly requiresTls: boolean;
  /** TLS from the first byte on. */
  readonly isTls: boolean;
  readonly tls: TlsConfig;
}

export interface Mail {
  readonly from: string;
  readonly to: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
  readonly html: string;
}
