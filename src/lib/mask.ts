/** Stands for a secret wherever one would be shown. */
export const MASK = '********';

/** `//user:password@`, and a token alone before the `@`. */
const USERINFO = /\/\/(?:([^\s"'/?#:@]*:)[^\s"'/?#]*|[^\s"'/?#@]+)@/g;

/** Parameters of addresses and connection strings that are secrets by themselves. */
const PARAMETER =
  /([?&;]|\b)((?:(?:x-(?:amz|goog)-)?(?:signature|credential|security-token)|sig|(?:[a-z]+[_-])?(?:token|secret|password|passwd)|api[_-]?key|access[_-]?key(?:[_-]?id)?|account[_-]?key|awsaccesskeyid|sharedaccess(?:key|signature))=)[^\s"'&;#]+/gi;

/** A text with the secrets of the addresses in it masked: passwords, tokens and signatures. */
export function maskSecrets(text: string): string {
  if (!text.includes('//') && !text.includes('=')) return text;
  return text
    .replace(USERINFO, (_, user: string | undefined) => `//${user ?? ''}${MASK}@`)
    .replace(PARAMETER, (_, before: string, name: string) => `${before}${name}${MASK}`);
}
