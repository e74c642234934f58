/**
 * The system procedures that instruction handlers call, gathered under one name; each concern has its own file. On entry
 * S[EIP] is the next instruction's address, and a transfer overwrites it. A procedure that raises has changed nothing.
 */

import { OF, VM } from '../../isa/eflags.ts';
import type { Cpu } from '../cpu.ts';
import { BP, OF_TRAP, raise, STOP_NONE, UD } from '../signals.ts';
import { setStackPointer } from '../stack-frame.ts';
import {
  EFLAGS_SYSTEM,
  ESP,
  EVENT_ERROR,
  EVENT_HAS_ERROR,
  EVENT_KIND,
  EVENT_SOFTWARE,
  EVENT_SOFTWARE_EXCEPTION,
  EVENT_VECTOR,
  INSTRUCTION_LENGTH,
  RIGHTS,
  SHADOW,
  SS,
  segmentSlot,
} from '../state.ts';
import * as control from './control-registers.ts';
import { cpuid } from './cpuid.ts';
import * as tables from './descriptor-tables.ts';
import * as far from './far-transfers.ts';
import * as flags from './flags.ts';
import { iret } from './iret.ts';
import * as msr from './msr.ts';
import * as ports from './ports.ts';
import * as privilege from './privilege.ts';
import * as probes from './probes.ts';
import { sysenter, sysexit } from './sysenter.ts';
import { redirectInterrupt } from './virtual-8086.ts';

/** SHADOW after MOV SS and POP SS. */
const SHADOW_BY_MOV_SS = 2;

export class System {
  readonly #cpu: Cpu;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
  }

  /** Far transfers return a STOP_* code: a hosted processor's call gate may be a host trap. */
  farJump(selector: number, offset: number, size: number): number {
    return far.farJump(this.#cpu, selector & 0xffff, offset, size);
  }
  farCall(selector: number, offset: number, size: number): number {
    return far.farCall(this.#cpu, selector & 0xffff, offset, size);
  }
  farReturn(popBytes: number, size: number): void {
    far.farReturn(this.#cpu, popBytes, size);
  }
  iret(size: number): void {
    iret(this.#cpu, size);
  }
  sysenter(): number {
    return sysenter(this.#cpu);
  }
  sysexit(): void {
    sysexit(this.#cpu);
  }

  /** INT n. Returns a STOP_* code. A fault in its delivery is thrown: it is the instruction's own. */
  softwareInterrupt(vector: number): number {
    const { state } = this.#cpu.memory;
    if ((state[EFLAGS_SYSTEM] & VM) !== 0 && redirectInterrupt(this.#cpu, vector & 0xff)) return STOP_NONE;
    return this.#deliver(vector & 0xff, EVENT_SOFTWARE, 2);
  }
  int3(): number {
    return this.#deliver(BP, EVENT_SOFTWARE_EXCEPTION, 1);
  }
  into(): number {
    return (this.#cpu.eflags() & OF) !== 0 ? this.#deliver(OF_TRAP, EVENT_SOFTWARE_EXCEPTION, 1) : STOP_NONE;
  }

  #deliver(vector: number, kind: number, length: number): number {
    const { state } = this.#cpu.memory;
    state[EVENT_VECTOR] = vector;
    state[EVENT_KIND] = kind;
    state[EVENT_HAS_ERROR] = 0;
    state[EVENT_ERROR] = 0;
    state[INSTRUCTION_LENGTH] = length;
    return this.#cpu.interrupts.deliver();
  }

  /** `blocksInterrupts`: MOV to SS holds interrupts off for one instruction; LSS does not. */
  loadSegment(segment: number, selector: number, blocksInterrupts: number): void {
    const cpu = this.#cpu;
    cpu.segmentation.load(segment, selector);
    if (segment === SS && blocksInterrupts !== 0) cpu.memory.state[SHADOW] = SHADOW_BY_MOV_SS;
  }
  /** POP to a segment register: `selector` lies on top of the stack; `size` bytes leave it. */
  loadSegmentFromStack(segment: number, selector: number, size: number): void {
    const { state } = this.#cpu.memory;
    const stackRights = state[segmentSlot(SS) + RIGHTS];
    this.loadSegment(segment, selector, 1);
    setStackPointer(state, stackRights, (state[ESP] + size) | 0);
  }

  lgdt(linear: number, table: number, size: number): void {
    tables.lgdt(this.#cpu, linear, table, size);
  }
  lidt(linear: number, table: number, size: number): void {
    tables.lidt(this.#cpu, linear, table, size);
  }
  sgdt(linear: number, table: number): void {
    tables.sgdt(this.#cpu, linear, table);
  }
  sidt(linear: number, table: number): void {
    tables.sidt(this.#cpu, linear, table);
  }
  lldt(selector: number): void {
    tables.lldt(this.#cpu, selector);
  }
  ltr(selector: number): void {
    tables.ltr(this.#cpu, selector);
  }
  sldt(): number {
    return tables.sldt(this.#cpu);
  }
  str(): number {
    return tables.str(this.#cpu);
  }

  lar(selector: number): number {
    return probes.lar(this.#cpu, selector);
  }
  lsl(selector: number): number {
    return probes.lsl(this.#cpu, selector);
  }
  verr(selector: number): void {
    probes.verr(this.#cpu, selector);
  }
  verw(selector: number): void {
    probes.verw(this.#cpu, selector);
  }

  smsw(): number {
    return control.smsw(this.#cpu);
  }
  lmsw(value: number): void {
    control.lmsw(this.#cpu, value);
  }
  clts(): void {
    control.clts(this.#cpu);
  }
  /** `gpr`: number of the general register that the instruction names. */
  readControl(n: number, gpr: number): number {
    return control.readControl(this.#cpu, n, gpr);
  }
  writeControl(n: number, value: number, gpr: number): void {
    control.writeControl(this.#cpu, n, value, gpr);
  }
  readDebug(n: number, gpr: number): number {
    return control.readDebug(this.#cpu, n, gpr);
  }
  writeDebug(n: number, value: number, gpr: number): void {
    control.writeDebug(this.#cpu, n, value, gpr);
  }
  invlpg(linear: number): void {
    control.invlpg(this.#cpu, linear);
  }
  invd(): void {
    control.invd(this.#cpu);
  }
  wbinvd(): void {
    control.wbinvd(this.#cpu);
  }

  rdmsr(): void {
    msr.rdmsr(this.#cpu);
  }
  wrmsr(): void {
    msr.wrmsr(this.#cpu);
  }
  rdtsc(): void {
    msr.rdtsc(this.#cpu);
  }
  rdpmc(): void {
    msr.rdpmc(this.#cpu);
  }
  cpuid(): void {
    cpuid(this.#cpu);
  }

  /** `flags` and `linear`: for INS and OUTS under VMX, IO_STRING and the memory operand (vmx-hooks.ts). */
  /** What INS and OUTS go through before their memory operand is looked at. Raises #GP(0) or exits. */
  requirePort(port: number, size: number, flagBits: number, linear: number): void {
    ports.requirePort(this.#cpu, port, size, flagBits, linear);
  }
  portIn(port: number, size: number, flagBits = 0, linear = 0): number {
    return ports.portIn(this.#cpu, port, size, flagBits, linear);
  }
  portOut(port: number, value: number, size: number, flagBits = 0, linear = 0): void {
    ports.portOut(this.#cpu, port, value, size, flagBits, linear);
  }

  pushfImage(size: number): number {
    return flags.pushfImage(this.#cpu, size);
  }
  requireRing0(): void {
    privilege.requireRing0(this.#cpu.memory.state);
  }
  requireProtected(): void {
    privilege.requireProtected(this.#cpu.memory.state);
  }
  requireProtectedRing0(): void {
    this.requireProtected();
    this.requireRing0();
  }
  requireFlagsTransfer(size: number): void {
    flags.requireFlagsTransfer(this.#cpu.memory.state, size);
  }
  popf(value: number, size: number): void {
    flags.popf(this.#cpu, value, size);
  }
  cli(): void {
    flags.cli(this.#cpu);
  }
  sti(): void {
    flags.sti(this.#cpu);
  }
  hlt(): void {
    flags.hlt(this.#cpu);
  }

  /** A VMX instruction: #UD on a processor without VMX. Returns a STOP_* code. */
  vmx(name: string, linear: number, table: number, register: number, rm: number): number {
    const { vmx, memory } = this.#cpu;
    if (vmx === null) raise(memory.state, UD);
    return vmx.vmxInstruction(name, linear, table, register, rm);
  }
}
