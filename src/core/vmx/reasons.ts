/** Basic exit reasons (SDM 3D appendix C): number and the short name that counters use. */
export const EXIT = {
  exception: 0,
  externalInterrupt: 1,
  tripleFault: 2,
  interruptWindow: 7,
  taskSwitch: 9,
  cpuid: 10,
  hlt: 12,
  invd: 13,
  invlpg: 14,
  rdpmc: 15,
  rdtsc: 16,
  vmcall: 18,
  vmclear: 19,
  vmlaunch: 20,
  vmptrld: 21,
  vmptrst: 22,
  vmread: 23,
  vmresume: 24,
  vmwrite: 25,
  vmxoff: 26,
  vmxon: 27,
  controlRegister: 28,
  debugRegister: 29,
  port: 30,
  rdmsr: 31,
  wrmsr: 32,
  entryGuestState: 33,
  entryMsrLoad: 34,
  pause: 40,
  descriptorTableGdtIdt: 46,
  descriptorTableLdtTr: 47,
  eptViolation: 48,
  eptMisconfiguration: 49,
  invept: 50,
  invvpid: 53,
  wbinvd: 54,
} as const;

/** Names by number, as counters show them: 'exit cpuid'. */
export const EXIT_NAMES: readonly string[] = (() => {
  const names: string[] = [];
  for (const [name, number] of Object.entries(EXIT)) {
    names[number] = name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
  }
  return names;
})();

/** Bit 31 of the reason: VM entry failed; the guest has not run. */
export const ENTRY_FAILURE = 0x80000000 | 0;

/** VM-instruction errors (SDM 3C 30.4). */
export const ERROR = {
  vmcallInRoot: 1,
  vmclearAddress: 2,
  vmclearVmxonPointer: 3,
  launchNotClear: 4,
  resumeNotLaunched: 5,
  controls: 7,
  hostState: 8,
  vmptrldAddress: 9,
  vmptrldVmxonPointer: 10,
  vmptrldRevision: 11,
  unsupportedField: 12,
  readOnlyField: 13,
  vmxonInRoot: 15,
  movSsBlocking: 26,
  invalidOperand: 28,
} as const;
