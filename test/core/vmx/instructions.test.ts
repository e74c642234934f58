/** The VMX instructions outside the guest: faults, outcome flags, error numbers. */
import { beforeEach, describe, expect, test } from 'vitest';
import { GP, UD } from '../../../src/core/signals.ts';
import * as slot from '../../../src/core/state.ts';
import { FIELD } from '../../../src/core/vmx/fields.ts';
import { ERROR, EXIT } from '../../../src/core/vmx/reasons.ts';
import { VMCS_POINTER, VMM_ATTACHED } from '../../../src/core/vmx/state.ts';
import { PROFILES } from '../../../src/cost/profiles/index.ts';
import { faultOf } from '../../support/protected-cpu.ts';
import { flatHost, reset, runGuest, VMCS_AT, VMXON_AT, type VmxCpu, vmxCpu } from '../../support/vmx-cpu.ts';

const CF = 1;
const ZF = 0x40;
const OPERAND = 0x210000;
const SECOND_VMCS = 0x408000;

const modern = vmxCpu();
let machine: VmxCpu = modern;
beforeEach(() => {
  machine = modern;
  reset(machine);
});

/** Executes one with a 64-bit memory operand; returns CF, ZF and the error field. */
function execute(name: string, operand = 0, high = 0): { flags: number; error: number } {
  const { cpu, vmx, read, S } = machine;
  cpu.memory.write32(OPERAND as never, operand);
  cpu.memory.write32((OPERAND + 4) as never, high);
  vmx.vmxInstruction(name, OPERAND, 0, 0, -1);
  return { flags: cpu.eflags() & 0x8d5, error: S[VMCS_POINTER] === -1 ? 0 : read(FIELD.instructionError) };
}
const failed = (error: number) => ({ flags: ZF, error });
const INVALID = { flags: CF, error: 0 };
const fault = (name: string) => faultOf(machine.cpu, () => machine.vmx.vmxInstruction(name, OPERAND, 0, 0, -1));

const ALL = [
  'vmcall',
  'vmxoff',
  'vmptrld',
  'vmptrst',
  'vmclear',
  'vmread',
  'vmwrite',
  'vmlaunch',
  'vmresume',
  'invept',
  'invvpid',
];

describe('[vtx:vmfail] faults and failures', () => {
  test.each(ALL)('%s outside VMX operation: #UD', (name) => {
    machine.S[slot.VMX_MODE] = 0;
    expect(fault(name)).toEqual({ vector: UD, error: null });
  });
  test.each([...ALL, 'vmxon'])('%s at CPL 3: #GP(0)', (name) => {
    machine.S[slot.CPL] = 3;
    expect(fault(name)).toEqual({ vector: GP, error: 0 });
  });
  test('INVEPT and INVVPID without the feature: #UD', () => {
    machine = vmxCpu(PROFILES[0]!);
    expect([fault('invept')?.vector, fault('invvpid')?.vector]).toEqual([UD, UD]);
  });
  test('VMsucceed clears the six arithmetic flags', () => {
    machine.cpu.setEflags(0x8d7);
    expect(execute('vmptrst').flags).toBe(0);
  });
});

describe('[vtx:vmxon] VMXON and VMXOFF', () => {
  test('VMXON enters root operation with no current VMCS', () => {
    machine.S[slot.VMX_MODE] = 0;
    expect(execute('vmxon', VMXON_AT).flags).toBe(0);
    expect([machine.S[slot.VMX_MODE], machine.S[VMCS_POINTER]]).toEqual([1, -1]);
  });
  test('needs CR4.VMXE: #UD', () => {
    machine.S[slot.VMX_MODE] = 0;
    machine.S[slot.CR4] = 0;
    expect(fault('vmxon')).toEqual({ vector: UD, error: null });
  });
  test('needs the fixed bits of CR0: #GP(0)', () => {
    machine.S[slot.VMX_MODE] = 0;
    machine.S[slot.CR0] = (machine.S[slot.CR0] as number) & ~slot.CR0_NE;
    expect(fault('vmxon')).toEqual({ vector: GP, error: 0 });
  });
  test.each([
    [VMXON_AT + 4, 0],
    [0, 0],
    [VMXON_AT, 1],
  ])('region 0x%x: VMfailInvalid', (region, high) => {
    machine.S[slot.VMX_MODE] = 0;
    expect(execute('vmxon', region, high)).toEqual({ flags: CF, error: 0 });
  });
  test('in root operation: error 15', () => {
    expect(execute('vmxon', VMXON_AT)).toEqual(failed(ERROR.vmxonInRoot));
  });
  test('VMXOFF leaves VMX operation', () => {
    execute('vmxoff');
    expect(machine.S[slot.VMX_MODE]).toBe(0);
  });
  test('IA32_VMX_CR4_FIXED1 has every bit of CR4 that exists (SDM 3D A.8)', () => {
    const { cpu, S } = machine;
    S[slot.ECX] = 0x489;
    cpu.system.rdmsr();
    const reported = S[slot.EAX] as number;
    S[slot.VMX_MODE] = 0;
    S[slot.CR0] = slot.CR0_PE;
    let existing = 0;
    for (let bit = 0; bit < 32; bit++)
      if (faultOf(cpu, () => cpu.system.writeControl(4, 1 << bit, 0)) === null) existing |= 1 << bit;
    expect(reported).toBe(existing);
  });
  test('CR0.NE and CR4.VMXE stay set in VMX operation: #GP(0)', () => {
    const { cpu, S } = machine;
    expect(faultOf(cpu, () => cpu.system.writeControl(0, (S[slot.CR0] as number) & ~slot.CR0_NE, 0))).toEqual({
      vector: GP,
      error: 0,
    });
    expect(faultOf(cpu, () => cpu.system.writeControl(4, 0, 0))).toEqual({ vector: GP, error: 0 });
  });
});

describe('[vtx:vmcs-pointer] VMCLEAR, VMPTRLD, VMPTRST', () => {
  test('VMCLEAR of the current VMCS leaves none current', () => {
    execute('vmclear', VMCS_AT);
    expect(execute('vmread')).toEqual(INVALID);
  });
  test('VMCLEAR: misaligned 2, VMXON pointer 3', () => {
    expect(execute('vmclear', VMCS_AT + 8)).toEqual(failed(ERROR.vmclearAddress));
    expect(execute('vmclear', VMXON_AT)).toEqual(failed(ERROR.vmclearVmxonPointer));
  });
  test('VMPTRLD: beyond memory 9, VMXON pointer 10, revision 11', () => {
    expect(execute('vmptrld', VMCS_AT, 1)).toEqual(failed(ERROR.vmptrldAddress));
    expect(execute('vmptrld', VMXON_AT)).toEqual(failed(ERROR.vmptrldVmxonPointer));
    expect(execute('vmptrld', SECOND_VMCS)).toEqual(failed(ERROR.vmptrldRevision));
  });
  test('VMPTRST stores the pointer', () => {
    execute('vmptrst');
    expect([machine.cpu.memory.read32(OPERAND as never), machine.cpu.memory.read32((OPERAND + 4) as never)]).toEqual([
      VMCS_AT,
      0,
    ]);
  });
});

describe('[vtx:vmlaunch] VMLAUNCH and VMRESUME in the order of their checks', () => {
  const enter = (launch: boolean) => machine.vmx.transitions.enter(launch);
  test('no current VMCS: VMfailInvalid', () => {
    machine.vmx.clear(VMCS_AT);
    expect(execute('vmlaunch')).toEqual(INVALID);
  });
  test('MOV SS blocking: error 26', () => {
    machine.S[slot.SHADOW] = 2;
    expect(execute('vmresume')).toEqual(failed(ERROR.movSsBlocking));
  });
  test('VMRESUME of a clear VMCS: error 5; VMLAUNCH of a launched one: error 4', () => {
    expect(enter(false)).toBe(ERROR.resumeNotLaunched);
    runGuest(machine, [0x0f, 0xa2]);
    expect(enter(true)).toBe(ERROR.launchNotClear);
  });
  test('launch state comes before controls, controls before host, host before guest', () => {
    machine.write(FIELD.pinControls, 0);
    machine.write(FIELD.hostCr0, 0);
    machine.write(FIELD.guestRflags, 0);
    expect(enter(false)).toBe(ERROR.resumeNotLaunched);
    expect(enter(true)).toBe(ERROR.controls);
    machine.write(FIELD.pinControls, machine.vmx.capabilities.pin.must);
    expect(enter(true)).toBe(ERROR.hostState);
    machine.write(FIELD.hostCr0, 0x80000031 | 0);
    expect(enter(true)).toBe(0);
    expect(machine.read(FIELD.exitReason)).toBe(EXIT.entryGuestState | 0x80000000);
  });
  test('an entry that fails in guest state leaves the VMCS clear and loads host state', () => {
    machine.write(FIELD.guestRflags, 0);
    enter(true);
    expect(machine.vmx.vmcs.launched).toBe(false);
    expect([machine.S[slot.VMX_MODE], machine.S[slot.EIP]]).toEqual([1, 0x200000]);
  });
});

describe('[vtx:vmcall] [vtx:invept-invvpid] the rest', () => {
  test('VMCALL in root operation: error 1', () => {
    expect(execute('vmcall')).toEqual(failed(ERROR.vmcallInRoot));
  });
  test('INVEPT and INVVPID of an undefined type: error 28', () => {
    machine.S[slot.EAX] = 7;
    expect(execute('invept')).toEqual(failed(ERROR.invalidOperand));
    expect(execute('invvpid', 1)).toEqual(failed(ERROR.invalidOperand));
  });
  test('INVVPID of VPID 0: error 28; of a VPID: succeeds', () => {
    machine.S[slot.EAX] = 1;
    expect(execute('invvpid', 0)).toEqual(failed(ERROR.invalidOperand));
    expect(execute('invvpid', 1).flags).toBe(0);
  });
  test('INVVPID drops the translations of its VPID', () => {
    runGuest(machine, [0xa1, 0, 0, 0x12, 0, 0x0f, 0xa2]);
    expect(machine.cpu.mmu.data.find(1, 0x120)).toBeGreaterThanOrEqual(0);
    machine.S[slot.EAX] = 1;
    execute('invvpid', 1);
    expect(machine.cpu.mmu.data.find(1, 0x120)).toBe(-1);
  });
});

describe('[vtx:capability-msrs] capability MSRs', () => {
  test('the default-1 bits of each profile', () => {
    const low = PROFILES.map((profile) => {
      const { vmx, S } = vmxCpu(profile);
      return [0x481, 0x482, 0x483, 0x484].map((index) => {
        vmx.readCapability(index);
        return S[slot.EAX];
      });
    });
    expect(new Set(low.map(String))).toEqual(new Set([String([0x16, 0x0401e172, 0x36dff, 0x11ff])]));
  });
  test('TRUE MSRs, secondary controls and EPT capabilities come with EPT', () => {
    const present = PROFILES.map((profile) => {
      const { vmx } = vmxCpu(profile);
      return [0x480, 0x48b, 0x48c, 0x48d, 0x490, 0x491].map((index) => vmx.readCapability(index));
    });
    expect(present.map((row) => row.map(Number).join(''))).toEqual(['100000', '100000', '111110', '111110']);
  });
  test('IA32_FEATURE_CONTROL is locked with VMXON allowed; writes raise #GP(0)', () => {
    const { cpu, vmx, S } = machine;
    expect(vmx.readCapability(0x3a)).toBe(true);
    expect(S[slot.EAX]).toBe(5);
    S[slot.ECX] = 0x3a;
    expect(faultOf(cpu, () => cpu.system.wrmsr())).toEqual({ vector: GP, error: 0 });
  });
});

describe('[vtx:nested] a hypervisor inside the machine', () => {
  test('enters by VMLAUNCH, gets its exit at HOST_RIP, and resumes', () => {
    const { cpu, S, write } = machine;
    S[VMM_ATTACHED] = 0;
    flatHost(cpu);
    // vmlaunch; (host rip:) inc esi; mov ebx, 0x4402; vmread eax, ebx; hlt
    const host = [0x0f, 0x01, 0xc2, 0x46, 0xbb, 0x02, 0x44, 0, 0, 0x0f, 0x78, 0xd8, 0xf4];
    cpu.memory.writeBytes(0x200000 as never, Uint8Array.from(host));
    write(FIELD.hostRip, 0x200003);
    // inc edi; cpuid
    cpu.memory.writeBytes(0x100000 as never, Uint8Array.from([0x47, 0x0f, 0xa2]));
    S[slot.ESI] = 0;
    S[slot.EDI] = 0;
    cpu.memory.time[slot.BUDGET] = 1e6;
    cpu.run();
    expect([S[slot.EDI], S[slot.ESI], S[slot.EAX], S[slot.ACTIVITY], S[slot.VMX_MODE]]).toEqual([
      1,
      1,
      EXIT.cpuid,
      1,
      1,
    ]);
  });
});
