import { processErrors } from './errors-process.ts';

/** The tenant of whoever names none. */
export const ANONYMOUS_TENANT = 'anonymous';

const TENANT_BYTES_MAX = 150;

/** Cortex' rules: letters, digits and `!-_.*'()`, at most 150 bytes, not `.` or `..`. @throws tenantInvalid */
export function checkTenant(tenant: string): string {
  if (tenant.length > TENANT_BYTES_MAX) {
    throw processErrors.tenantInvalid({ reason: `tenant ID is too long: max ${TENANT_BYTES_MAX} characters` });
  }
  const unsupported = /[^a-zA-Z0-9!\-_.*'()]/u.exec(tenant);
  if (unsupported !== null) {
    throw processErrors.tenantInvalid({
      reason: `tenant ID '${tenant}' contains unsupported character '${unsupported[0]}'`,
    });
  }
  if (tenant === '.' || tenant === '..') throw processErrors.tenantInvalid({ reason: `tenant ID is '.' or '..'` });
  return tenant;
}
