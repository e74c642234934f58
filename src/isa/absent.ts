/**
 * The instructions that the processor does not have. Their opcodes decode as DECODE_INVALID (#UD), and CPUID does not
 * report the extensions. Opcodes are in the notation of `opcodes.ts`.
 */
export interface AbsentInstructions {
  readonly name: string;
  readonly opcodes: readonly string[];
}

export const ABSENT_INSTRUCTIONS: readonly AbsentInstructions[] = [
  { name: 'FRSTPM (80287)', opcodes: ['db /4'] },
  { name: 'SSSE3, SSE4', opcodes: ['0f 38', '0f 3a'] },
  { name: 'AMD SSE4a', opcodes: ['66 0f 78', 'f2 0f 78-79', '66 0f 79', 'f2 0f 2b', 'f3 0f 2b'] },
  { name: 'AVX, AVX2, AVX-512, FMA, BMI (VEX, EVEX and XOP prefixes)', opcodes: ['c4', 'c5', '62', '8f /1-/7'] },
  { name: 'XSAVE XRSTOR XSAVEOPT', opcodes: ['0f ae /4-/6', '0f c7 /3-/5'] },
  { name: 'CLFLUSHOPT CLWB', opcodes: ['66 0f ae /7', '66 0f ae /6'] },
  { name: 'XABORT, XBEGIN', opcodes: ['c6 f8', 'c7 f8'] },
  { name: 'SGX, PCONFIG, WRMSRNS', opcodes: ['0f 01 c0', '0f 01 c5', '0f 01 c6', '0f 01 cf', '0f 01 d7'] },
  { name: 'MONITOR MWAIT CLAC STAC, TDX', opcodes: ['0f 01 c8-cf'] },
  { name: 'XGETBV XSETBV VMFUNC XEND XTEST', opcodes: ['0f 01 d0', '0f 01 d1', '0f 01 d4-d6'] },
  { name: 'AMD SVM', opcodes: ['0f 01 d8-df'] },
  { name: 'CET, SERIALIZE, protection keys, user interrupts', opcodes: ['0f 01 /5'] },
  { name: 'RDTSCP MONITORX CLZERO and other AMD instructions', opcodes: ['0f 01 f8-ff'] },
  { name: 'VIA PadLock', opcodes: ['0f a6', '0f a7'] },
  { name: 'SYSCALL SYSRET (long mode only on Intel)', opcodes: ['0f 05', '0f 07'] },
  { name: 'PREFETCHW 3DNow!', opcodes: ['0f 0d', '0f 0e', '0f 0f'] },
  { name: 'GETSEC', opcodes: ['0f 37'] },
  { name: 'POPCNT', opcodes: ['f3 0f b8'] },
  { name: 'MOVBE CRC32 ADCX ADOX INVPCID', opcodes: ['0f 38 f0', '0f 38 f1', '0f 38 f6', '66 0f 38 82'] },
  { name: 'RDRAND RDSEED RDPID', opcodes: ['0f c7 f0-f7', '0f c7 f8-ff'] },
  { name: 'RSM (outside SMM it is #UD)', opcodes: ['0f aa'] },
  { name: 'UD0, UD1 (#UD by definition)', opcodes: ['0f ff', '0f b9'] },
  { name: 'INT1 (ICEBP)', opcodes: ['f1'] },
  { name: 'SALC', opcodes: ['d6'] },
  { name: 'MOV to and from test registers (80386, 80486)', opcodes: ['0f 24', '0f 26'] },
];
