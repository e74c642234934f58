/** Every meaning, by the name that rows of the instruction table use. */
import { arithmetic } from './arithmetic.ts';
import type { Meaning } from './builder.ts';
import { control } from './control.ts';
import { data } from './data.ts';
import { fpu } from './fpu.ts';
import { shifts } from './shift.ts';
import { simd } from './simd.ts';

export const MEANINGS: Readonly<Record<string, Meaning>> = {
  ...arithmetic,
  ...shifts,
  ...data,
  ...control,
  ...fpu,
  ...simd,
};
