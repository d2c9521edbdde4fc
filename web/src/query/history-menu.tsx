import { ActionIcon, Popover, SegmentedControl, Text, TextInput, Tooltip, UnstyledButton } from '@mantine/core';
import { IconHistory, IconStar, IconStarFilled } from '@tabler/icons-react';
import { useState } from 'react';
import { useScope } from '../scope.tsx';
import { forget, queriesOf, remember, type Shelf } from './history.ts';

/** Queries of before, to be taken up again. */
export function HistoryMenu({ expr, onPick }: { readonly expr: string; readonly onPick: (expr: string) => void }) {
  const { tenant } = useScope();
  const [opened, setOpened] = useState(false);
  const [shelf, setShelf] = useState<Shelf>('history');
  const [filter, setFilter] = useState('');
  const [, setChanges] = useState(0);
  const isSaved = queriesOf('saved', tenant).includes(expr);
  const shown = opened
    ? queriesOf(shelf, tenant).filter((one) => one.toLowerCase().includes(filter.toLowerCase()))
    : [];
  return (
    <>
      <Tooltip label={isSaved ? 'saved; forget it' : 'save this query'}>
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label={isSaved ? 'forget the saved query' : 'save the query'}
          disabled={expr === ''}
          onClick={() => {
            if (isSaved) forget('saved', tenant, expr);
            else remember('saved', tenant, expr);
            setChanges((before) => before + 1);
          }}
        >
          {isSaved ? <IconStarFilled size={16} /> : <IconStar size={16} />}
        </ActionIcon>
      </Tooltip>
      <Popover opened={opened} onChange={setOpened} position="bottom-start" width={460} trapFocus>
        <Popover.Target>
          <Tooltip label="queries of before">
            <ActionIcon variant="subtle" color="gray" aria-label="history" onClick={() => setOpened(!opened)}>
              <IconHistory size={16} />
            </ActionIcon>
          </Tooltip>
        </Popover.Target>
        <Popover.Dropdown maw="90vw">
          <SegmentedControl
            size="xs"
            value={shelf}
            onChange={(value) => setShelf(value as Shelf)}
            data={[
              { value: 'history', label: 'History' },
              { value: 'saved', label: 'Saved' },
            ]}
          />
          <TextInput
            size="xs"
            my="xs"
            aria-label="filter"
            placeholder="filter"
            value={filter}
            onChange={(event) => setFilter(event.currentTarget.value)}
          />
          <div className="rows" style={{ maxHeight: 300 }}>
            {shown.length === 0 && <Text size="sm">None.</Text>}
            {shown.map((one) => (
              <UnstyledButton
                key={one}
                className="row"
                w="100%"
                onClick={() => {
                  onPick(one);
                  setOpened(false);
                }}
              >
                <code className="wrapped">{one}</code>
              </UnstyledButton>
            ))}
          </div>
        </Popover.Dropdown>
      </Popover>
    </>
  );
}
