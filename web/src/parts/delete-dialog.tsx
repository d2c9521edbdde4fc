import { Button, Modal } from '@mantine/core';

export interface DeleteDialogProps {
  readonly opened: boolean;
  /** The question. */
  readonly title: string;
  readonly onDelete: () => void;
  readonly onClose: () => void;
}

/** Asks once more before something is deleted. */
export function DeleteDialog({ opened, title, onDelete, onClose }: DeleteDialogProps) {
  return (
    <Modal opened={opened} onClose={onClose} title={title} closeButtonProps={{ 'aria-label': 'close' }}>
      <Button size="xs" color="red" onClick={onDelete}>
        Delete
      </Button>
    </Modal>
  );
}
