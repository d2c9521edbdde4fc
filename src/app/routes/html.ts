// Pages that are written here, for operators: they need nothing but this process.

export interface HtmlPage {
  readonly title: string;
  /** Rules beside those that all pages have: light and dark, `--line` and `--soft`. */
  readonly style: string;
  /** HTML: texts in it are escaped by whoever writes it. */
  readonly body: string;
}

export function htmlPage({ title, style, body }: HtmlPage): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 15%, transparent); --soft: color-mix(in srgb, currentColor 65%, transparent); }
${style}
</style>
</head>
<body>
${body}
</body>
</html>
`;
}

/** A text within an element or a quoted attribute. */
export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
