import { Anchor, Paper, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { fetchData } from '../api/http.ts';
import { apiUrl } from '../base.ts';
import { useScope } from '../scope.tsx';
import { useSession } from '../session.tsx';
import { CopyButton } from './copy-button.tsx';

const POLL_MS = 10_000;

/** Shown as long as the tenant has no series at all: how to send some to this server. */
export function NoDataYet() {
  const session = useSession();
  const { tenant, setTenant } = useScope();
  const { data } = useQuery({
    queryKey: ['has-data', tenant],
    queryFn: async ({ signal }) =>
      (
        await fetchData<string[]>(
          { path: '/api/v1/labels', tenant, params: new URLSearchParams({ limit: '1' }) },
          signal,
        )
      ).length > 0,
    refetchInterval: ({ state }) => (state.data === true ? false : POLL_MS),
  });
  if (data !== false) return null;
  const own = session.selfMonitoringTenant;
  const mayLook = own !== null && own !== tenant && (session.tenants === null || session.tenants.includes(own));
  const block = remoteWriteBlock(apiUrl(session.pushPath), tenant, session.authentication);
  return (
    <Paper className="note" mb="sm" role="status">
      <Text component="h2" fw={600}>
        No data yet
      </Text>
      <Text size="sm">
        {tenant === '' ? 'This server' : `The tenant ${tenant}`} has no series yet. Let a Prometheus, or an agent, write
        to it:
      </Text>
      <pre className="block">{block}</pre>
      <CopyButton text={block} label="Copy" />
      {mayLook && (
        <Text size="sm" mt="xs">
          Or look at{' '}
          <Anchor component="button" size="sm" onClick={() => setTenant(own)}>
            this server's own metrics
          </Anchor>
          , in the tenant {own}.
        </Text>
      )}
    </Paper>
  );
}

function remoteWriteBlock(url: string, tenant: string, authentication: boolean): string {
  const lines = ['remote_write:', `  - url: ${url}`];
  if (tenant !== '') lines.push(`    headers: { X-Scope-OrgID: ${JSON.stringify(tenant)} }`);
  if (authentication) lines.push('    basic_auth: { username: NAME, password_file: FILE }');
  return `${lines.join('\n')}\n`;
}
