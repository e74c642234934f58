/**
 * The VMX instructions (SDM 3C chapter 30). Outcome flags: VMsucceed clears the six arithmetic flags, VMfailInvalid sets
 * CF, VMfailValid sets ZF and stores the error in the current VMCS. In non-root operation every one of them exits.
 * Not built: the exit qualification (displacement) and instruction-information field of such exits.
 */
import { eventNumber } from '../../cost/event.ts';
import type { Cpu } from '../cpu.ts';
import { setArithmeticFlags } from '../flags.ts';
import { GP, raise, raiseWithError, STOP_NONE, UD } from '../signals.ts';
import { CPL, CR0, CR4, CR4_VMXE, REG_STRIDE, VMX_MODE } from '../state.ts';
import { isProtected } from '../system/privilege.ts';
import { FIELD } from './fields.ts';
import { ERROR, EXIT } from './reasons.ts';
import { FEATURE_CONTROL, VMCS_POINTER, VMXON_POINTER } from './state.ts';
import { FAIL_INVALID } from './transitions.ts';
import type { Vmx } from './vmx.ts';

const VMREAD = eventNumber('vmread');
const VMWRITE = eventNumber('vmwrite');

const CF = 1;
const ZF = 0x40;
/** IA32_FEATURE_CONTROL: locked, VMXON outside SMX. */
const FEATURE_NEEDED = 5;

type Name =
  | 'vmcall'
  | 'vmlaunch'
  | 'vmresume'
  | 'vmxoff'
  | 'vmxon'
  | 'vmptrld'
  | 'vmptrst'
  | 'vmclear'
  | 'vmread'
  | 'vmwrite'
  | 'invept'
  | 'invvpid';

/** Exit reason of each in non-root operation. */
const REASONS: Readonly<Record<Name, number>> = {
  vmcall: EXIT.vmcall,
  vmlaunch: EXIT.vmlaunch,
  vmresume: EXIT.vmresume,
  vmxoff: EXIT.vmxoff,
  vmxon: EXIT.vmxon,
  vmptrld: EXIT.vmptrld,
  vmptrst: EXIT.vmptrst,
  vmclear: EXIT.vmclear,
  vmread: EXIT.vmread,
  vmwrite: EXIT.vmwrite,
  invept: EXIT.invept,
  invvpid: EXIT.invvpid,
};

export class Instructions {
  readonly #cpu: Cpu;
  readonly #state: Int32Array;
  readonly #vmx: Vmx;

  constructor(cpu: Cpu, vmx: Vmx) {
    this.#cpu = cpu;
    this.#state = cpu.memory.state;
    this.#vmx = vmx;
  }

  /** See VmxHooks.vmxInstruction. */
  execute(mnemonic: string, linear: number, table: number, reg: number, rm: number): number {
    const S = this.#state;
    const name = mnemonic as Name;
    // VMCALL exits from every mode of a guest, the others from protected mode alone (SDM 3C chapter 30).
    const anyMode = name === 'vmcall' && S[VMX_MODE] === 2;
    if (!anyMode && !isProtected(S)) raise(S, UD);
    if (name === 'vmxon') {
      if (((S[CR4] as number) & CR4_VMXE) === 0) raise(S, UD);
    } else if (S[VMX_MODE] === 0) raise(S, UD);
    if (name === 'invept' && !this.#vmx.capabilities.ept) raise(S, UD);
    if (name === 'invvpid' && !this.#vmx.capabilities.vpid) raise(S, UD);
    if (S[VMX_MODE] === 2) this.#vmx.exitInstruction(REASONS[name]);
    if (S[CPL] !== 0) raiseWithError(S, GP, 0);
    switch (name) {
      case 'vmcall':
        this.#fail(ERROR.vmcallInRoot);
        break;
      case 'vmxon':
        this.#vmxon(linear, table);
        break;
      case 'vmxoff':
        S[VMX_MODE] = 0;
        S[VMCS_POINTER] = -1;
        S[VMXON_POINTER] = -1;
        this.#succeed();
        break;
      case 'vmclear':
        this.#vmclear(this.#pointer(linear, table));
        break;
      case 'vmptrld':
        this.#vmptrld(this.#pointer(linear, table));
        break;
      case 'vmptrst': {
        const pointer = S[VMCS_POINTER] as number;
        this.#cpu.mmu.checkWrite(linear, 8, table);
        this.#cpu.mmu.store32(linear, pointer, table);
        this.#cpu.mmu.store32((linear + 4) | 0, pointer === -1 ? -1 : 0, table);
        this.#succeed();
        break;
      }
      case 'vmread':
        this.#vmread(linear, table, reg, rm);
        break;
      case 'vmwrite':
        this.#vmwrite(linear, table, reg, rm);
        break;
      case 'vmlaunch':
      case 'vmresume':
        this.#enter(name === 'vmlaunch');
        break;
      case 'invept':
        this.#invept(S[reg * REG_STRIDE] as number);
        break;
      case 'invvpid':
        this.#invvpid(S[reg * REG_STRIDE] as number, linear, table);
        break;
    }
    return STOP_NONE;
  }

  /** 64-bit operand: a physical address. Above 4 GB it is none that these checks accept. */
  #pointer(linear: number, table: number): number {
    const low = this.#cpu.mmu.load32(linear, table) >>> 0;
    return low + (this.#cpu.mmu.load32((linear + 4) | 0, table) >>> 0) * 0x100000000;
  }

  #regionValid(address: number): boolean {
    return address % 4096 === 0 && address + 4096 <= this.#cpu.memory.size;
  }

  #vmxon(linear: number, table: number): void {
    const S = this.#state;
    if (S[VMX_MODE] === 1) {
      this.#fail(ERROR.vmxonInRoot);
      return;
    }
    const fixed = this.#vmx.controlAllowed(0, S[CR0] as number) && this.#vmx.controlAllowed(4, S[CR4] as number);
    if (!fixed || ((S[FEATURE_CONTROL] as number) & FEATURE_NEEDED) !== FEATURE_NEEDED) raiseWithError(S, GP, 0);
    const region = this.#pointer(linear, table);
    if (!this.#regionValid(region) || !this.#vmx.vmcs.revisionMatches(region)) {
      this.#failInvalid();
      return;
    }
    S[VMXON_POINTER] = region;
    S[VMCS_POINTER] = -1;
    S[VMX_MODE] = 1;
    this.#succeed();
  }

  #vmclear(region: number): void {
    if (!this.#regionValid(region)) this.#fail(ERROR.vmclearAddress);
    else if (region === this.#state[VMXON_POINTER]) this.#fail(ERROR.vmclearVmxonPointer);
    else {
      this.#vmx.clear(region);
      this.#succeed();
    }
  }

  #vmptrld(region: number): void {
    if (!this.#regionValid(region)) this.#fail(ERROR.vmptrldAddress);
    else if (region === this.#state[VMXON_POINTER]) this.#fail(ERROR.vmptrldVmxonPointer);
    else if (!this.#vmx.vmcs.revisionMatches(region)) this.#fail(ERROR.vmptrldRevision);
    else {
      this.#vmx.load(region);
      this.#succeed();
    }
  }

  #vmread(linear: number, table: number, reg: number, rm: number): void {
    const S = this.#state;
    if (S[VMCS_POINTER] === -1) {
      this.#failInvalid();
      return;
    }
    const encoding = S[reg * REG_STRIDE] as number;
    if (!this.#vmx.vmcs.has(encoding)) {
      this.#fail(ERROR.unsupportedField);
      return;
    }
    const value = this.#vmx.vmcs.read(encoding);
    if (rm >= 0) S[rm * REG_STRIDE] = value;
    else this.#cpu.mmu.store32(linear, value, table);
    this.#cpu.ledger.charge(VMREAD);
    this.#succeed();
  }

  #vmwrite(linear: number, table: number, reg: number, rm: number): void {
    const S = this.#state;
    if (S[VMCS_POINTER] === -1) {
      this.#failInvalid();
      return;
    }
    const value = rm >= 0 ? (S[rm * REG_STRIDE] as number) : this.#cpu.mmu.load32(linear, table);
    this.#cpu.ledger.charge(VMWRITE);
    const error = this.#vmx.vmcs.write(S[reg * REG_STRIDE] as number, value);
    if (error !== 0) this.#fail(error);
    else this.#succeed();
  }

  #enter(launch: boolean): void {
    const error = this.#vmx.transitions.enter(launch);
    if (error === FAIL_INVALID) this.#failInvalid();
    else if (error !== 0) this.#fail(error);
  }

  /** Types 1 (one EPTP) and 2 (all) have the same effect here, since entries carry no EPT tag. */
  #invept(type: number): void {
    if (type !== 1 && type !== 2) {
      this.#fail(ERROR.invalidOperand);
      return;
    }
    this.#cpu.mmu.flushAllTags();
    this.#succeed();
  }

  /** Types 0 one address, 1 one VPID, 2 all VPIDs, 3 one VPID without its global translations. */
  #invvpid(type: number, linear: number, table: number): void {
    const { mmu } = this.#cpu;
    const word = mmu.load32(linear, table);
    const high = mmu.load32((linear + 4) | 0, table);
    const vpid = word & 0xffff;
    if (type >>> 0 > 3 || word >>> 16 !== 0 || high !== 0 || (type !== 2 && vpid === 0)) {
      this.#fail(ERROR.invalidOperand);
      return;
    }
    if (type === 2) mmu.flushAllTags();
    else mmu.flushTag(vpid);
    this.#succeed();
  }

  #succeed(): void {
    setArithmeticFlags(this.#state, 0);
  }
  #failInvalid(): void {
    setArithmeticFlags(this.#state, CF);
  }
  #fail(error: number): void {
    if (this.#state[VMCS_POINTER] === -1) {
      this.#failInvalid();
      return;
    }
    this.#vmx.vmcs.set(FIELD.instructionError, error);
    setArithmeticFlags(this.#state, ZF);
  }
}
