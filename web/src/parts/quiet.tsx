import { Center, Loader } from '@mantine/core';

/** Something is on its way. */
export function Quiet() {
  return (
    <Center h={240} aria-busy="true" role="status">
      <span className="unseen">loading</span>
      <Loader size="sm" aria-hidden="true" />
    </Center>
  );
}
