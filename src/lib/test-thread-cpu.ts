/** CPU that this thread has used, in milliseconds: what a test bounds where others may have the processor meanwhile. */
export function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
