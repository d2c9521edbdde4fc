import { count, duration, list, secret, text, toggle } from '../../kit/config/field.ts';
import { section } from '../../kit/config/section.ts';

export const etcdConfig = section('etcd', 'The ring in etcd, with -ring.store=etcd.', {
  endpoints: list({
    help: 'Hosts and ports, or URLs, of the members. One is asked, another when it does not answer.',
    check: checkEndpoint,
  }),
  keyPrefix: text({ default: 'pallium/', help: 'Set before each key, for those who share an etcd.' }),
  dialTimeoutMs: duration({ default: '5s', min: '10ms', help: 'Time that connecting to a member may take.' }),
  timeoutMs: duration({ default: '5s', min: '10ms', help: 'Time that a member may take to answer a call.' }),
  maxRetries: count({
    default: 3,
    max: 100,
    help: 'Further tries of a call that failed at a member, at the next one.',
  }),
  tlsEnabled: toggle({ default: false, help: 'Encrypt connections. Endpoints that begin with https:// are anyway.' }),
  tlsCaPath: text({ help: 'File with the certificate authority, PEM. Empty: those that Node knows.' }),
  tlsCertPath: text({ help: 'File with our certificate, PEM.' }),
  tlsKeyPath: text({ help: 'File with the key of our certificate, PEM.' }),
  tlsServerName: text({ help: "Name that the members' certificates must have. Empty: that of the endpoint." }),
  tlsInsecureSkipVerify: toggle({ default: false, help: "Do not check the members' certificates." }),
  username: text({ help: 'User name, where etcd wants one.' }),
  password: secret({ help: 'Password of the user.' }),
});

export type EtcdConfig = typeof etcdConfig.type;

function checkEndpoint(endpoint: string): void {
  const url = /^https?:\/\//.test(endpoint) ? endpoint : `http://${endpoint}`;
  if (!URL.canParse(url)) throw new RangeError(`${endpoint} is neither host and port nor a URL`);
  const { pathname, username, search } = new URL(url);
  if (pathname !== '/' || username !== '' || search !== '') {
    throw new RangeError(`${endpoint} is more than scheme, host and port`);
  }
}
