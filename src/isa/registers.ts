/** Register names by number (SDM volume 2A, table 2-2). */
export const REGISTERS_8 = ['al', 'cl', 'dl', 'bl', 'ah', 'ch', 'dh', 'bh'] as const;
export const REGISTERS_16 = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'] as const;
export const REGISTERS_32 = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'] as const;
export const SEGMENT_REGISTERS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'] as const;

/** Name of general register `number` (0-7) of `size` bytes. */
export function registerName(number: number, size: 1 | 2 | 4): string {
  return (size === 1 ? REGISTERS_8 : size === 2 ? REGISTERS_16 : REGISTERS_32)[number]!;
}
