/** A name for where there is no markup: between U+2068 and U+2069 it does not turn what stands beside it around. */
export const isolated = (text: string): string => `\u2068${text}\u2069`;
