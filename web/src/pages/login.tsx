import { Alert, Anchor, Box, Button, Center, Paper, PasswordInput, Stack, TextInput, Title } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { send } from '../api/http.ts';
import { ApiProblem } from '../api/problem.ts';
import { Failure } from '../parts/failure.tsx';
import type { Session } from '../session.tsx';

/** Name and password, or a token, for a session of half a day. */
export function Login({ onDone }: { readonly onDone: (session: Session) => void }) {
  const [byToken, setByToken] = useState(false);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const logIn = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string) => String(form.get(name) ?? '');
    setBusy(true);
    try {
      const json = byToken ? { token: text('token') } : { name: text('name'), password: text('password') };
      const response = await send({ path: '/api/v1/session', method: 'POST', tenant: '', json });
      onDone(((await response.json()) as { data: Session }).data);
    } catch (thrown) {
      const isWrong = thrown instanceof ApiProblem && thrown.status === 401;
      setError(isWrong ? new Error(byToken ? 'no user has this token' : 'name or password is wrong') : thrown);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Center mih="100vh" p="md">
      <Paper withBorder p="xl" w={360} maw="100%">
        <form onSubmit={logIn}>
          <Stack gap="sm">
            <Title order={1} size="h3">
              Pallium
            </Title>
            {!window.isSecureContext && (
              <Alert color="yellow">
                Browsers keep sessions with this server only over HTTPS, or on the machine itself.
              </Alert>
            )}
            {byToken ? (
              <PasswordInput name="token" label="Token" required autoComplete="off" data-autofocus key="token" />
            ) : (
              <>
                <TextInput name="name" label="Name" required autoComplete="username" autoFocus key="name" />
                <PasswordInput name="password" label="Password" required autoComplete="current-password" />
              </>
            )}
            {error !== undefined && <Failure error={error} />}
            <Button type="submit" loading={busy}>
              Log in
            </Button>
            <Box>
              <Anchor component="button" type="button" size="sm" onClick={() => setByToken(!byToken)}>
                {byToken ? 'with name and password' : 'with a token'}
              </Anchor>
            </Box>
          </Stack>
        </form>
      </Paper>
    </Center>
  );
}
