import { Alert, Button } from '@mantine/core';

interface EditConflictProps {
  /** The thing that both have edited. */
  readonly what: string;
  readonly error: Error;
  readonly onOverwrite: () => void;
}

/** A text that another one has saved since it was opened: may be put in the place of theirs. */
export function EditConflict({ what, error, onOverwrite }: EditConflictProps) {
  return (
    <Alert color="yellow" role="alert" p="xs">
      <div className="wrapped">
        Another one has changed {what}: {error.message}
      </div>
      <Button size="compact-xs" variant="default" mt={4} onClick={onOverwrite}>
        Put mine in its place all the same
      </Button>
    </Alert>
  );
}
