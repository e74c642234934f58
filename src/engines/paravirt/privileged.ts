/**
 * Privileged instructions of the guest kernel, carried out by the hypervisor after #GP(0). What Xen lets a guest do
 * it does on the guest's virtual state; everything else is the guest's own #GP. Ports: a domain without devices reads all ones
 * and writes into nothing, if its virtual IOPL allows the access at all.
 */

import {
  BASE,
  CPL,
  CR0,
  CR0_TS,
  CR4,
  CR4_PGE,
  CR4_TSD,
  CS,
  CYCLES,
  EAX,
  ECX,
  EDX,
  EFER,
  EIP,
  REG_STRIDE,
  RIGHTS,
  RIGHTS_DB,
  segmentSlot,
  TSC_BASE,
} from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import { createDecoded, decode } from '../../isa/decode.ts';
import { DECODE_OK, type Decoded } from '../../isa/instruction.ts';
import type { Hypervisor } from './hypervisor.ts';
import { BASE_FRAME, DEBUG_REGISTERS, GUEST_CR2, GUEST_CR4, GUEST_TS, VIRTUAL_IOPL } from './vcpu.ts';

const DECODE = eventNumber('emulateDecode');
const EXECUTE = eventNumber('emulateExecute');
const CS_BASE = segmentSlot(CS) + BASE;
const CS_RIGHTS = segmentSlot(CS) + RIGHTS;

const MSR_TSC = 0x10;
const MSR_APIC_BASE = 0x1b;
const MSR_MISC_ENABLE = 0x1a0;
const MSR_EFER = 0xc0000080;
/** Where CPUID 0x40000002 says that a guest may ask for the hypercall page. */
export const MSR_HYPERCALL_PAGE = 0x40000000;

type Emulation = (xen: Hypervisor, decoded: Decoded) => boolean;

/** Each returns false if the guest may not do this. */
const EMULATIONS: Readonly<Record<string, Emulation>> = {
  in: portRead,
  out: portAllowed,
  cli: portAllowed,
  sti: portAllowed,
  hlt: kernel((xen) => {
    xen.block();
    return true;
  }),
  readControl: kernel(readControl),
  writeControl: kernel(writeControl),
  clts: kernel((xen) => {
    xen.setTaskSwitched(false);
    return true;
  }),
  invlpg: kernel((xen, decoded) => {
    xen.cpu.mmu.invalidatePage(effectiveAddress(xen, decoded));
    return true;
  }),
  invd: kernel(() => true),
  wbinvd: kernel(() => true),
  rdmsr: kernel(readMsr),
  wrmsr: kernel(writeMsr),
  rdtsc: kernel((xen) => {
    setPair(xen, timestamp(xen));
    return true;
  }),
  readDebug: kernel((xen, decoded) => {
    setRegister(xen, decoded.rm, xen.vcpu[DEBUG_REGISTERS + decoded.reg] as number);
    return true;
  }),
  writeDebug: kernel((xen, decoded) => {
    return xen.setDebugRegister(decoded.reg, register(xen, decoded.rm)) === 0;
  }),
};

export const EMULATION_NAMES: readonly string[] = Object.keys(EMULATIONS);

const window = new Uint8Array(16);
const decoded = createDecoded();

/** Tries to carry out the instruction at EIP. True if done; EIP is then after it. */
export function emulatePrivileged(xen: Hypervisor): boolean {
  const S = xen.cpu.memory.state;
  const eip = S[EIP] as number;
  const linear = ((S[CS_BASE] as number) + eip) >>> 0;
  let bytes = 0;
  for (; bytes < 15; bytes++) {
    const byte = xen.guest.load8((linear + bytes) >>> 0);
    if (byte < 0) break;
    window[bytes] = byte;
  }
  xen.cpu.ledger.charge(DECODE);
  const code32 = ((S[CS_RIGHTS] as number) & RIGHTS_DB) !== 0;
  if (decode(window, 0, bytes, code32, decoded) !== DECODE_OK) return false;
  const name = decoded.instruction.semantics;
  const emulation = EMULATIONS[name];
  if (emulation === undefined) return false;
  const { length } = decoded;
  if (!emulation(xen, decoded)) return false;
  xen.cpu.ledger.charge(EXECUTE);
  xen.counters.emulations[EMULATION_NAMES.indexOf(name)]++;
  xen.cpu.retireEmulated(S[CPL] as number);
  S[EIP] = (eip + length) | 0;
  return true;
}

function kernel(emulation: Emulation): Emulation {
  return (xen, instruction) => xen.cpu.memory.state[CPL] === 1 && emulation(xen, instruction);
}

/** The virtual I/O privilege: level 1 and up lets the kernel at ports, 3 its programs too. CLI and STI change nothing even then. */
function portAllowed(xen: Hypervisor): boolean {
  return (xen.vcpu[VIRTUAL_IOPL] as number) >= (xen.cpu.memory.state[CPL] as number);
}

function portRead(xen: Hypervisor, { instruction, operandSize }: Decoded): boolean {
  if (!portAllowed(xen)) return false;
  const S = xen.cpu.memory.state;
  const mask = instruction.operands[0] === 'AL' ? 0xff : operandSize === 2 ? 0xffff : -1;
  S[EAX] = (S[EAX] as number) | mask;
  return true;
}

function readControl(xen: Hypervisor, { reg, rm }: Decoded): boolean {
  const S = xen.cpu.memory.state;
  const V = xen.vcpu;
  switch (reg) {
    case 0:
      setRegister(xen, rm, ((S[CR0] as number) & ~CR0_TS) | (V[GUEST_TS] !== 0 ? CR0_TS : 0));
      return true;
    case 2:
      setRegister(xen, rm, V[GUEST_CR2] as number);
      return true;
    case 3:
      setRegister(xen, rm, (V[BASE_FRAME] as number) << 12);
      return true;
    case 4:
      setRegister(xen, rm, V[GUEST_CR4] as number);
      return true;
    default:
      return false;
  }
}

function writeControl(xen: Hypervisor, { reg, rm }: Decoded): boolean {
  const S = xen.cpu.memory.state;
  const value = register(xen, rm);
  switch (reg) {
    case 0:
      if ((((S[CR0] as number) ^ value) & ~CR0_TS) !== 0) return false;
      xen.setTaskSwitched((value & CR0_TS) !== 0);
      return true;
    case 2:
      xen.vcpu[GUEST_CR2] = value;
      return true;
    case 3:
      return xen.setBase(value >>> 12) === 0;
    case 4:
      // The paging bits are the hypervisor's; of the rest only TSD does anything here.
      xen.vcpu[GUEST_CR4] = ((S[CR4] as number) & ~(CR4_PGE | CR4_TSD)) | (value & CR4_TSD);
      return true;
    default:
      return false;
  }
}

function readMsr(xen: Hypervisor): boolean {
  const S = xen.cpu.memory.state;
  switch ((S[ECX] as number) >>> 0) {
    case MSR_TSC:
      setPair(xen, timestamp(xen));
      return true;
    case MSR_EFER:
      setPair(xen, (S[EFER] as number) >>> 0);
      return true;
    case MSR_APIC_BASE:
    case MSR_MISC_ENABLE:
      setPair(xen, 0);
      return true;
    default:
      return false;
  }
}

/** Xen drops writes to MSRs that are not the guest's, except that a bad hypercall page is a fault. */
function writeMsr(xen: Hypervisor): boolean {
  const S = xen.cpu.memory.state;
  if ((S[ECX] as number) >>> 0 === MSR_HYPERCALL_PAGE) return xen.fillHypercallPageAt(S[EAX] as number);
  return true;
}

function timestamp(xen: Hypervisor): number {
  const T = xen.cpu.memory.time;
  return (T[CYCLES] as number) + (T[TSC_BASE] as number);
}

function setPair(xen: Hypervisor, value: number): void {
  const S = xen.cpu.memory.state;
  S[EAX] = value % 0x1_0000_0000;
  S[EDX] = Math.floor(value / 0x1_0000_0000);
}

function register(xen: Hypervisor, number: number): number {
  return xen.cpu.memory.state[REG_STRIDE * number] as number;
}
function setRegister(xen: Hypervisor, number: number, value: number): void {
  xen.cpu.memory.state[REG_STRIDE * number] = value;
}

/** Linear address of a memory operand; guest data segments that INVLPG is used with have base 0 or are honoured. */
function effectiveAddress(xen: Hypervisor, { base, index, scale, displacement, segment }: Decoded): number {
  const S = xen.cpu.memory.state;
  let address = (S[segmentSlot(segment) + BASE] as number) + displacement;
  if (base >= 0) address += register(xen, base);
  if (index >= 0) address += register(xen, index) << scale;
  return address | 0;
}
