/** What `use` returns; undefined where the browser forbids it or is full, as it may with every access to storage. */
export function attempt<T>(use: () => T): T | undefined {
  try {
    return use();
  } catch {
    return undefined;
  }
}
