/** Parameters that go along from page to page, with their `?`; empty where there are none. */
export function keptParams(): string {
  const all = new URLSearchParams(window.location.search);
  const kept = new URLSearchParams();
  for (const name of ['tenant', 'range', 'end', 'refresh']) {
    const value = all.get(name);
    if (value !== null) kept.set(name, value);
  }
  return kept.size === 0 ? '' : `?${kept}`;
}
