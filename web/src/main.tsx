import './styles.ts';
import { createTheme, MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createRoot } from 'react-dom/client';
import { Router } from 'wouter';
import { warmQueries } from './api/query.ts';
import { App } from './app.tsx';
import { pagesPath, styleNonce } from './base.ts';
import { SessionGate, sessionQuery } from './session.tsx';

// a part of a build that is there no more: the page is that of an older process
window.addEventListener('vite:preloadError', () => window.location.reload());

const client = new QueryClient({
  defaultOptions: {
    queries: { retry: false, staleTime: Number.POSITIVE_INFINITY, gcTime: 30_000, refetchOnWindowFocus: false },
  },
});

const theme = createTheme({
  primaryColor: 'teal',
  // text in lighter shades cannot be read on white
  primaryShade: { light: 9, dark: 9 },
  defaultRadius: 'sm',
  fontFamily: 'system-ui, sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, monospace',
});

// both are needed before anything is drawn
void client.prefetchQuery(sessionQuery);
warmQueries();

createRoot(document.getElementById('root')!).render(
  <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => styleNonce}>
    <QueryClientProvider client={client}>
      <Router base={pagesPath}>
        <SessionGate>
          <App />
        </SessionGate>
      </Router>
    </QueryClientProvider>
  </MantineProvider>,
);
