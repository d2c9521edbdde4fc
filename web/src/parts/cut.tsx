const CHARS_MAX = 160;

/** A text of any length, cut to a line or two; all of it on hover. */
export function Cut({ text }: { readonly text: string }) {
  if (text.length <= CHARS_MAX) return <span className="wrapped">{text}</span>;
  return (
    <span className="wrapped" title={text.slice(0, 2_000)}>
      {text.slice(0, CHARS_MAX)}…
    </span>
  );
}
