import {
  ActionIcon,
  Autocomplete,
  Button,
  Group,
  NativeSelect,
  Popover,
  Stack,
  Text,
  TextInput,
  Tooltip,
  UnstyledButton,
  useMantineColorScheme,
} from '@mantine/core';
import {
  IconArrowsMaximize,
  IconChevronLeft,
  IconChevronRight,
  IconClock,
  IconLogout,
  IconMoon,
  IconRefresh,
  IconSun,
} from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { send } from '../api/http.ts';
import { parseDuration, printDuration } from '../model/duration.ts';
import { printMoment, readMoment, zoneName } from '../model/time-text.ts';
import { useScope } from '../scope.tsx';
import { useSession } from '../session.tsx';

const RANGES = ['5m', '15m', '30m', '1h', '3h', '6h', '12h', '1d', '2d', '7d', '30d', '90d', '1y'];
const REFRESHES = ['5s', '10s', '30s', '1m', '5m'];

export function Header() {
  return (
    <Group h="100%" px="sm" gap="xs" justify="space-between" wrap="nowrap">
      <TenantPicker />
      <Group gap={4} wrap="nowrap">
        <TimePicker />
        <RefreshPicker />
        <ZoneSwitch />
        <SchemeSwitch />
        <LogOut />
      </Group>
    </Group>
  );
}

function TenantPicker() {
  const session = useSession();
  const { tenant, setTenant } = useScope();
  if (session.tenancy === 'single') return <Text size="sm">{session.defaultTenant}</Text>;
  if (session.tenants !== null) {
    if (session.tenants.length === 1) {
      return (
        <Text size="sm" truncate maw={220} title={session.tenants[0]}>
          {session.tenants[0]}
        </Text>
      );
    }
    return (
      <NativeSelect
        size="xs"
        aria-label="tenant"
        value={tenant}
        data={[...session.tenants]}
        onChange={(event) => setTenant(event.currentTarget.value)}
      />
    );
  }
  return <TypedTenant key={tenant} />;
}

/** Any tenant may be named, so it is typed. */
function TypedTenant() {
  const session = useSession();
  const { tenant, setTenant } = useScope();
  const [text, setText] = useState(tenant);
  const known = [
    session.defaultTenant,
    ...(session.selfMonitoringTenant === null ? [] : [session.selfMonitoringTenant]),
  ];
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        setTenant(text.trim());
      }}
    >
      <Autocomplete
        size="xs"
        aria-label="tenant"
        placeholder={`tenant: ${session.defaultTenant}`}
        w={{ base: 110, sm: 190 }}
        value={text}
        data={known}
        onChange={setText}
        onOptionSubmit={setTenant}
        onBlur={() => setTenant(text.trim())}
      />
    </form>
  );
}

function TimePicker() {
  const { rangeMs, endMs, setTime, zone } = useScope();
  const [opened, setOpened] = useState(false);
  const move = (share: number) => setTime(rangeMs, (endMs ?? Date.now()) + share * rangeMs);
  const label =
    endMs === undefined
      ? `last ${printDuration(rangeMs)}`
      : `${printMoment(endMs - rangeMs, zone)} – ${printMoment(endMs, zone)}`;
  return (
    <Group gap={2} wrap="nowrap">
      <ActionIcon variant="subtle" color="gray" aria-label="earlier" onClick={() => move(-0.5)} visibleFrom="sm">
        <IconChevronLeft size={16} />
      </ActionIcon>
      <Popover opened={opened} onChange={setOpened} position="bottom-end" trapFocus>
        <Popover.Target>
          <Button
            size="compact-sm"
            variant="default"
            leftSection={<IconClock size={14} />}
            aria-label={`time range: ${label}`}
            onClick={() => setOpened(!opened)}
          >
            <span className="time-label">{label}</span>
          </Button>
        </Popover.Target>
        <Popover.Dropdown>
          <TimeForm onDone={() => setOpened(false)} key={`${rangeMs} ${endMs} ${zone}`} />
        </Popover.Dropdown>
      </Popover>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label="later"
        disabled={endMs === undefined}
        onClick={() => move(0.5)}
        visibleFrom="sm"
      >
        <IconChevronRight size={16} />
      </ActionIcon>
      <Tooltip label="twice the range">
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label="zoom out"
          visibleFrom="sm"
          onClick={() =>
            setTime(rangeMs * 2, endMs === undefined ? undefined : Math.min(Date.now(), endMs + rangeMs / 2))
          }
        >
          <IconArrowsMaximize size={16} />
        </ActionIcon>
      </Tooltip>
    </Group>
  );
}

function TimeForm({ onDone }: { readonly onDone: () => void }) {
  const { rangeMs, endMs, setTime, zone } = useScope();
  const end = endMs ?? Date.now();
  const [range, setRange] = useState(printDuration(rangeMs));
  const [from, setFrom] = useState(printMoment(end - rangeMs, zone));
  const [to, setTo] = useState(printMoment(end, zone));
  const [fromMs, toMs] = [readMoment(from, zone), readMoment(to, zone)];
  const isRangeRight = parseDuration(range) !== undefined;
  const areTimesRight = fromMs !== undefined && toMs !== undefined && fromMs < toMs;
  return (
    <Stack gap="xs" w={280}>
      <div className="ranges">
        {RANGES.map((one) => (
          <UnstyledButton
            key={one}
            className="range"
            data-chosen={endMs === undefined && parseDuration(one) === rangeMs ? true : undefined}
            onClick={() => {
              setTime(parseDuration(one)!, undefined);
              onDone();
            }}
          >
            {one}
          </UnstyledButton>
        ))}
      </div>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isRangeRight) setTime(parseDuration(range)!, undefined);
          onDone();
        }}
      >
        <TextInput
          size="xs"
          label="last"
          value={range}
          error={isRangeRight ? null : 'like 1h30m'}
          onChange={(event) => setRange(event.currentTarget.value)}
        />
      </form>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!areTimesRight) return;
          setTime(toMs - fromMs, toMs);
          onDone();
        }}
      >
        <Stack gap="xs">
          <TextInput
            size="xs"
            label={`from (${zoneName(end, zone)})`}
            value={from}
            onChange={(event) => setFrom(event.currentTarget.value)}
            error={fromMs === undefined ? 'like 2026-11-29 06:30:00' : null}
          />
          <TextInput
            size="xs"
            label="to"
            value={to}
            onChange={(event) => setTo(event.currentTarget.value)}
            error={areTimesRight ? null : 'a later time, like 2026-11-29 06:30:00'}
          />
          <Button size="compact-sm" type="submit" disabled={!areTimesRight}>
            Show
          </Button>
        </Stack>
      </form>
    </Stack>
  );
}

function RefreshPicker() {
  const { refreshMs, setRefresh, refresh } = useScope();
  return (
    <Group gap={2} wrap="nowrap">
      <Tooltip label="ask again (r)">
        <ActionIcon variant="subtle" color="gray" aria-label="refresh" onClick={refresh}>
          <IconRefresh size={16} />
        </ActionIcon>
      </Tooltip>
      <NativeSelect
        size="xs"
        w={64}
        visibleFrom="sm"
        aria-label="refresh every"
        value={refreshMs === 0 ? 'off' : printDuration(refreshMs)}
        data={['off', ...REFRESHES]}
        onChange={(event) => setRefresh(parseDuration(event.currentTarget.value) ?? 0)}
      />
    </Group>
  );
}

function ZoneSwitch() {
  const { zone, setZone } = useScope();
  return (
    <Tooltip label={zone === 'utc' ? 'show local time' : 'show UTC'}>
      <Button
        size="compact-xs"
        variant="subtle"
        color="gray"
        onClick={() => setZone(zone === 'utc' ? 'local' : 'utc')}
        aria-label={`times are in ${zoneName(Date.now(), zone)}; switch`}
      >
        {zone === 'utc' ? 'UTC' : 'local'}
        {zone === 'local' && <span className="zone-name">&nbsp;{zoneName(Date.now(), zone)}</span>}
      </Button>
    </Tooltip>
  );
}

function SchemeSwitch() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const isDark =
    colorScheme === 'dark' || (colorScheme === 'auto' && window.matchMedia('(prefers-color-scheme: dark)').matches);
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      aria-label={isDark ? 'light colours' : 'dark colours'}
      onClick={() => setColorScheme(isDark ? 'light' : 'dark')}
    >
      {isDark ? <IconSun size={16} /> : <IconMoon size={16} />}
    </ActionIcon>
  );
}

function LogOut() {
  const session = useSession();
  const client = useQueryClient();
  if (!session.authentication) return null;
  return (
    <Tooltip label={`log out ${session.user}`}>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={`log out ${session.user}`}
        onClick={async () => {
          await send({ path: '/api/v1/session', method: 'DELETE', tenant: '' });
          client.clear();
          window.location.reload();
        }}
      >
        <IconLogout size={16} />
      </ActionIcon>
    </Tooltip>
  );
}
