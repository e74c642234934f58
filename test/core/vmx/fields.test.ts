/** VMCS fields: encodings, VMREAD and VMWRITE of each. */
import { describe, expect, test } from 'vitest';
import * as slot from '../../../src/core/state.ts';
import {
  FIELD,
  FIELD_OFFSET,
  type FieldName,
  fieldType,
  fieldWidth,
  VMCS_BYTES,
} from '../../../src/core/vmx/fields.ts';
import { eventNumber } from '../../../src/cost/event.ts';
import { PROFILES } from '../../../src/cost/profiles/index.ts';
import { VMCS_AT, vmxCpu } from '../../support/vmx-cpu.ts';

const machine = vmxCpu();
const { vmx, S, cpu } = machine;
const CF = 1;
const ZF = 0x40;
const EAX = 0;
const EBX = 3;

function execute(name: string): { readonly flags: number; readonly error: number } {
  vmx.vmxInstruction(name, 0, 0, EBX, EAX);
  return { flags: cpu.eflags() & (CF | ZF), error: machine.read(FIELD.instructionError) };
}

describe('[vtx:encodings] field encodings', () => {
  test('give width and type by their bits (SDM 3D B)', () => {
    expect([fieldWidth(FIELD.vpid), fieldType(FIELD.vpid)]).toEqual([0, 0]);
    expect([fieldWidth(FIELD.guestPhysicalAddress), fieldType(FIELD.guestPhysicalAddress)]).toEqual([1, 1]);
    expect([fieldWidth(FIELD.guestActivity), fieldType(FIELD.guestActivity)]).toEqual([2, 2]);
    expect([fieldWidth(FIELD.hostRip), fieldType(FIELD.hostRip)]).toEqual([3, 3]);
  });

  test('[vtx:region] lie apart in one 4 KB region of machine memory', () => {
    const offsets = Object.values(FIELD).map((encoding) => FIELD_OFFSET[encoding]!);
    expect(new Set(offsets).size).toBe(offsets.length);
    expect(VMCS_BYTES).toBeLessThanOrEqual(4096);
    machine.write(FIELD.guestRsp, 0x12345678);
    expect(cpu.memory.read32((VMCS_AT + FIELD_OFFSET[FIELD.guestRsp]!) as never)).toBe(0x12345678);
  });
});

describe('[vtx:vmread-vmwrite] VMREAD and VMWRITE', () => {
  test.each(Object.keys(FIELD) as FieldName[])('%s', (name) => {
    const encoding = FIELD[name];
    const before = machine.read(encoding);
    S[2 * EBX] = encoding;
    S[2 * EAX] = 0x89abcdef | 0;
    const written = execute('vmwrite');
    if (fieldType(encoding) === 1) {
      expect(written).toEqual({ flags: ZF, error: 13 });
      return;
    }
    expect(written.flags).toBe(0);
    S[2 * EAX] = 0;
    expect(execute('vmread').flags).toBe(0);
    expect(S[2 * EAX]).toBe(fieldWidth(encoding) === 0 ? 0xcdef : 0x89abcdef | 0);
    machine.write(encoding, before);
  });

  test('the high half of a 64-bit field is a field of its own', () => {
    machine.write(FIELD.tscOffset + 1, 7);
    machine.write(FIELD.tscOffset, 9);
    expect(vmx.vmcs.address(FIELD.tscOffset)).toBe(7 * 2 ** 32 + 9);
  });

  test.each([0x6fff, 0x0802 | 1, 0x2002 - 0x1000, 0x7fffffff, -1])(
    'encoding 0x%x is unsupported: error 12',
    (encoding) => {
      S[2 * EBX] = encoding;
      expect(execute('vmread')).toEqual({ flags: ZF, error: 12 });
      expect(execute('vmwrite')).toEqual({ flags: ZF, error: 12 });
    },
  );

  test('fields of EPT and VPID do not exist on a processor without them', () => {
    const old = vmxCpu(PROFILES[0]!);
    expect(
      ['eptPointer', 'vpid', 'guestPdpte0', 'guestPhysicalAddress'].map((name) =>
        old.vmx.vmcs.has(FIELD[name as FieldName]),
      ),
    ).toEqual([false, false, false, false]);
  });

  test('each is charged', () => {
    const { counts } = cpu.ledger;
    const [reads, writes] = [eventNumber('vmread'), eventNumber('vmwrite')];
    const before = [counts[reads]!, counts[writes]!];
    vmx.read(FIELD.guestRip);
    vmx.write(FIELD.guestRip, 1);
    expect([counts[reads]! - before[0]!, counts[writes]! - before[1]!]).toEqual([1, 1]);
  });

  test('without a current VMCS: VMfailInvalid', () => {
    const fresh = vmxCpu();
    fresh.vmx.clear(VMCS_AT);
    fresh.S[2 * EBX] = FIELD.guestRip;
    fresh.vmx.vmxInstruction('vmread', 0, 0, EBX, EAX);
    expect(fresh.cpu.eflags() & (CF | ZF)).toBe(CF);
    expect(fresh.S[slot.CPL]).toBe(0);
  });
});
