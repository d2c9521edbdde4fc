import { Center, Loader } from '@mantine/core';

/** Something is on its way. */
export function Quiet() {
  return (
    <Center h={240} aria-busy="true">
      <Loader size="sm" aria-label="loading" />
    </Center>
  );
}
