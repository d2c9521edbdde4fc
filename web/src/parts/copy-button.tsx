import { Button, type ButtonProps } from '@mantine/core';
import { useState } from 'react';

/** Puts a text into the clipboard, also where the page is not served over TLS. */
export function CopyButton({ text, label, ...more }: { readonly text: string; readonly label: string } & ButtonProps) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await copyText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1_500);
  };
  return (
    <Button size="compact-xs" variant="default" onClick={copy} {...more}>
      {copied ? 'Copied' : label}
    </Button>
  );
}

async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
}
