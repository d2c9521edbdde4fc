import { ANONYMOUS_TENANT } from '../../model/tenant.ts';
import { bytes, choice, count, duration, list, secret, text, toggle } from '../config/field.ts';
import { section } from '../config/section.ts';
import { peerSecurityFields } from '../rpc/config.ts';
import { checkOriginSetting } from './browser.ts';

export const serverConfig = section('server', 'HTTP server', {
  httpListenAddress: text({ default: '127.0.0.1', help: 'Address to listen on; 0.0.0.0 for all.' }),
  httpListenPort: count({ default: 9009, max: 65535, help: 'Port to listen on; 0 takes any free one.' }),
  adminAddress: text({
    help: 'host:port of a second listener for endpoints that can do harm (heap snapshots, profiles). Empty: none.',
  }),
  peerListenAddress: text({
    default: '127.0.0.1:9095',
    help: 'host:port to listen on for the other processes of a cluster; port 0 takes any free one.',
  }),
  peerAdvertiseAddress: text({
    help: 'host:port that the other processes reach this one at. Empty: that of -server.peer-listen-address, with the name of the host where it listens on all.',
  }),
  ...peerSecurityFields,
  httpHostNames: list({
    help: 'Names that requests may give as Host, besides addresses and localhost. Checked where the listener is bound to loopback, or where names are given.',
  }),
  httpCorsOrigins: list({
    check: checkOriginSetting,
    help: 'Origins (https://grafana.example.com) whose scripts may call the API in a browser. *: any may read, but name no tenant. Unset: none.',
  }),
  httpTlsCertPath: text({
    valueWanted: true,
    help: 'Certificate chain in PEM. With a key, the listener speaks TLS only.',
  }),
  httpTlsKeyPath: text({ valueWanted: true, help: 'Private key in PEM.' }),
  httpTlsCaPath: text({ valueWanted: true, help: 'Authorities in PEM that client certificates are checked against.' }),
  httpTlsClientAuth: choice({
    default: 'none',
    values: ['none', 'request', 'require'],
    help: 'Whether clients must show a certificate.',
  }),
  frontThreads: count({
    default: 1,
    min: 1,
    max: 16,
    help: 'Threads that listen for requests, and take writes themselves. 1: the main thread does. Not in a cluster; where the system does not spread connections over threads (other than Linux, FreeBSD, Solaris, AIX) there is one.',
  }),
  frontHeapMb: count({
    default: 256,
    min: 64,
    help: 'JavaScript heap of such a thread, in MB, where there are several; one that needs more is replaced.',
  }),
  httpConnectionsMax: count({ default: 10_000, min: 1, help: 'Connections at once; further ones are closed.' }),
  httpConnectionsPerClientMax: count({
    default: 2_000,
    min: 1,
    help: 'Connections of one address (an IPv6 network of 64 bits) at once; further ones are closed.',
  }),
  httpHeaderBytesMax: bytes({
    default: '64KiB',
    min: '1KiB',
    help: "Size of a request's address and headers together (Prometheus: 1MiB).",
  }),
  httpHeaderTimeoutMs: duration({ default: '10s', min: '1s', help: 'Time in which the headers must have come.' }),
  httpReadTimeoutMs: duration({ default: '30s', min: '1s', help: 'Time in which a whole request must have come.' }),
  httpStallTimeoutMs: duration({
    default: '5m',
    min: '1s',
    help: 'A connection on which nothing moves for so long is closed. More than the longest query.',
  }),
  httpWriteTimeoutMs: duration({
    default: '30s',
    min: '100ms',
    help: 'Time in which a client must take a piece (256 KiB) of its answer.',
  }),
  httpIdleTimeoutMs: duration({ default: '2m', min: '1s', help: 'Time a connection is kept for a next request.' }),
  pushBodyBytesMax: bytes({ default: '32MiB', min: '1KiB', help: 'Size of a write as it comes, compressed.' }),
  queryBodyBytesMax: bytes({ default: '10MiB', min: '1KiB', help: 'Size of a query sent as a form.' }),
  formParamsMax: count({
    default: 10_000,
    min: 1,
    help: 'Parameters of a request in address and form together; more are answered 400.',
  }),
  inflightBodyBytesMax: bytes({
    default: '512MiB',
    min: '1MiB',
    help: 'Bodies of all requests under way together, as far as they have arrived; a tenant has at most three times what is left. Further ones are answered 503 until there is room.',
  }),
  inflightAnswerBytesMax: bytes({
    default: '512MiB',
    min: '1MiB',
    help: 'Answers of 64 KiB and more that their clients have not taken yet, together; shared out as bodies are.',
  }),
  compressBytesMin: bytes({ default: '1KiB', help: 'Answers of at least this size are compressed when asked for.' }),
  shutdownTimeoutMs: duration({
    default: '30s',
    min: '1s',
    flag: 'shutdown-timeout',
    key: 'shutdown_timeout',
    help: 'Time for a clean end; what is not done by then is left to the next start.',
  }),
  traceContext: toggle({
    default: false,
    help: "Take on the trace of queries' callers (the header `traceparent`): its id is in the log of slow queries and, at level debug, of each call to another process, which it goes along with.",
  }),
  httpPathPrefix: text({
    check: checkPrefix,
    help: 'Path below which everything is served, as behind a proxy that hands paths on unchanged.',
  }),
  prometheusHttpPrefix: text({
    default: '/prometheus',
    flag: 'http.prometheus-http-prefix',
    check: checkPrefix,
    help: 'Prefix under which the Prometheus API is served, besides the root.',
  }),
});

/** @throws where a prefix of paths is none; what a router takes for a parameter is none */
function checkPrefix(prefix: string): void {
  if (prefix !== '' && !/^(\/[\w.~!$&'+,;=@-]+)*\/?$/.test(prefix)) {
    throw new RangeError(`${prefix} is not a path that begins with a slash, like /prometheus`);
  }
}

export type ServerConfig = typeof serverConfig.type;

export const authConfig = section('auth', 'Tenants and authentication', {
  tenancy: choice({
    default: 'optional',
    values: ['optional', 'required', 'single'],
    help: 'What X-Scope-OrgID means: optional (without it the tenant is -auth.default-tenant), required (401 without), single (only -auth.default-tenant).',
  }),
  defaultTenant: text({ default: ANONYMOUS_TENANT, help: 'The tenant of requests that name none.' }),
  basicUser: text({
    valueWanted: true,
    help: 'User name that clients must give. Unset: no basic authentication by this pair.',
  }),
  basicPassword: secret({ valueWanted: true, help: 'Password of that user.' }),
  basicPasswordFile: text({ valueWanted: true, help: 'File that holds the password of that user, and nothing else.' }),
  usersFile: text({
    valueWanted: true,
    help: 'YAML file of users with passwords or bearer tokens, the tenants each may name and what it may do. See the operating guide.',
  }),
  protectMetrics: toggle({ default: true, help: 'Whether /metrics needs authentication too, where there is any.' }),
});

export type AuthConfig = typeof authConfig.type;

export const tenantFederationConfig = section('tenant_federation', 'Queries over several tenants', {
  enabled: toggle({
    default: false,
    flag: 'tenant-federation.enabled',
    help: 'Let queries name several tenants (X-Scope-OrgID: a|b). Their series have the label __tenant_id__.',
  }),
  maxTenants: count({
    default: 16,
    min: 1,
    flag: 'tenant-federation.max-tenants',
    help: 'Tenants of one query; more are refused.',
  }),
});

export type TenantFederationConfig = typeof tenantFederationConfig.type;
