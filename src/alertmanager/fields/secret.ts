/** Stands for a secret where a configuration is shown. */
export const secretToken = '<secret>';
