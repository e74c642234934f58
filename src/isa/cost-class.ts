/**
 * Classes of instructions that a CPU profile prices. An instruction's static cost is its class's, plus
 * memoryRead / memoryWrite for each memory operand it loads / stores. A REP string adds stringElement per element.
 */
export const COST_CLASSES = [
  'alu', 'lea', 'mov', 'mul', 'div', 'shift', 'bit', 'bcd', 'cmov', 'setcc', 'xchg', 'locked', 'bswap', 'nop',
  'branch', 'jump', 'call', 'ret', 'indirect', 'push', 'pop', 'pusha', 'enter', 'leave',
  'string', 'stringElement', 'flagsTransfer', 'pushf', 'popf', 'cli', 'sti', 'cld', 'farTransfer', 'intN', 'iret', 'sysenter', 'sysexit',
  'segmentLoad', 'segmentStore', 'descriptorProbe', 'tableStore', 'tableLoad', 'controlRead', 'controlWrite', 'clts', 'debugRegister',
  'msr', 'cpuid', 'rdtsc', 'rdpmc', 'port', 'hlt', 'invlpg', 'cacheControl', 'vmx', 'marker',
  'memoryRead', 'memoryWrite',
] as const;
export type CostClass = (typeof COST_CLASSES)[number];
