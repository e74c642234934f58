/** Instructions that the VMM carries out. */
import type { Sequence } from './unit.ts';

const instruction: Sequence = (u) => u.instruction();
/** The guest goes on elsewhere, or only later: nothing of the unit follows. */
const transfer: Sequence = (u) => u.transfer();

const STAYS = [
  'lgdt',
  'lidt',
  'lldt',
  'ltr',
  'lmsw',
  'clts',
  'invlpg',
  'invd',
  'wbinvd',
  'rdmsr',
  'wrmsr',
  'rdpmc',
  'cpuid',
  'in',
  'out',
  'ins',
  'outs',
  'writeControl',
  'readDebug',
  'writeDebug',
  'lar',
  'lsl',
  'verr',
  'verw',
  'into',
] as const;
const LEAVES = [
  'farJump',
  'farCall',
  'farRet',
  'iret',
  'int',
  'int3',
  'hlt',
  'sysenter',
  'sysexit',
  'vmcall',
  'vmlaunch',
  'vmresume',
  'vmxoff',
  'vmxon',
  'vmptrld',
  'vmptrst',
  'vmclear',
  'vmread',
  'vmwrite',
  'invept',
  'invvpid',
] as const;

export const CALLOUTS: Readonly<Record<string, Sequence>> = Object.fromEntries([
  ...STAYS.map((name) => [name, instruction] as const),
  ...LEAVES.map((name) => [name, transfer] as const),
]);
