/** Stands for a secret where a configuration is shown. */
export const secretToken = '<secret>';

/** A text in which secrets of a configuration may stand, like the answer of a receiver. */
export function withoutSecretsOf({ secrets }: { readonly secrets: readonly string[] }, text: string): string {
  return secrets.reduce((shown, secret) => shown.replaceAll(secret, secretToken), text);
}
