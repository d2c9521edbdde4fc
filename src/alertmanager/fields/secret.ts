/** Stands for a secret where a configuration is shown. */
export const secretToken = '<secret>';

/** A text in which secrets of a configuration may stand, like the answer of a receiver that repeats what it was sent. */
export function withoutSecretsOf({ secrets }: { readonly secrets: readonly string[] }, text: string): string {
  const shown = secrets
    .flatMap((secret) => [secret, encodeURIComponent(secret.toWellFormed()), JSON.stringify(secret).slice(1, -1)])
    .reduce((left, form) => left.replaceAll(form, secretToken), text);
  // user and password of a header, together
  return shown.replace(/\bBasic [A-Za-z0-9+/]{4,}=*/g, `Basic ${secretToken}`);
}
