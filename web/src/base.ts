/** The address of a path of the API: below the path that the process is served under, which the page's `<base>` names. */
export function apiUrl(path: string, params?: URLSearchParams): string {
  const url = new URL(path.replace(/^\//, ''), document.baseURI);
  if (params !== undefined) url.search = params.toString();
  return url.href;
}

/** The path below which pages are, without a slash at its end. */
export const pagesPath = new URL('ui', document.baseURI).pathname;

/** The nonce that styles need to be let in. */
export const styleNonce = document.querySelector<HTMLMetaElement>('meta[name="nonce"]')?.content ?? '';

// where react-remove-scroll, below Mantine's dialogs, looks for it
(globalThis as { __webpack_nonce__?: string }).__webpack_nonce__ = styleNonce;
