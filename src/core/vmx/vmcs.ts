/**
 * The VMCS region in machine memory (SDM 3C 24.2): revision identifier, abort indicator, then data whose layout is
 * the processor's own (here: launch state, then every field packed in the order of fields.ts). Software reaches it by
 * VMREAD and VMWRITE only.
 */
import type { Profile } from '../../cost/profile.ts';
import type { MachineMemory } from '../memory.ts';
import { REVISION } from './capabilities.ts';
import {
  ENCODINGS,
  FIELD,
  FIELD_NEEDS,
  FIELD_OFFSET,
  type FieldName,
  fieldType,
  fieldWidth,
  TYPE_CONTROL,
  TYPE_EXIT_INFORMATION,
  TYPE_GUEST,
  TYPE_HOST,
  WIDTH_16,
} from './fields.ts';
import { ERROR } from './reasons.ts';
import { DIRTY, DIRTY_CONTROLS, DIRTY_GUEST, DIRTY_HOST, VMCS_POINTER } from './state.ts';

const ABORT_OFFSET = 4;
const LAUNCH_OFFSET = 8;

export class Vmcs {
  readonly #memory: MachineMemory;
  readonly #state: Int32Array;
  readonly #view: DataView;
  /** FIELD_OFFSET without the fields that this processor lacks. */
  readonly #offset: Uint16Array;

  constructor(memory: MachineMemory, profile: Profile) {
    this.#memory = memory;
    this.#state = memory.state;
    this.#view = memory.view;
    this.#offset = FIELD_OFFSET.slice();
    const { ept, vpid } = profile.features;
    const has = { ept, vpid, secondary: ept || vpid };
    for (const [name, need] of Object.entries(FIELD_NEEDS) as [FieldName, keyof typeof has][]) {
      if (has[need]) continue;
      this.#offset[FIELD[name]] = 0;
      this.#offset[FIELD[name] + 1] = 0;
    }
  }

  #at(encoding: number): number {
    return this.#memory.ramBase + (this.#state[VMCS_POINTER] as number) + (FIELD_OFFSET[encoding] as number);
  }

  /** Word of a field of the current VMCS (int32), without any check: the processor's own access. */
  get(encoding: number): number {
    return this.#view.getInt32(this.#at(encoding), true);
  }
  set(encoding: number, value: number): void {
    this.#view.setInt32(this.#at(encoding), value, true);
  }
  /** A 64-bit field that holds an address: low and high half as one number. */
  address(encoding: number): number {
    return (this.get(encoding) >>> 0) + (this.get(encoding + 1) >>> 0) * 0x100000000;
  }

  /** Whether VMREAD of `encoding` names a field of this processor. */
  has(encoding: number): boolean {
    return encoding >>> 0 < ENCODINGS && this.#offset[encoding] !== 0;
  }

  /** VMREAD without flags and charge: a field that `has` admits; 16-bit fields zero-extended. */
  read(encoding: number): number {
    const value = this.get(encoding);
    return fieldWidth(encoding) === WIDTH_16 ? value & 0xffff : value;
  }

  /** VMWRITE without flags and charge. Returns 0 or the VM-instruction error. */
  write(encoding: number, value: number): number {
    if (!this.has(encoding)) return ERROR.unsupportedField;
    switch (fieldType(encoding)) {
      case TYPE_EXIT_INFORMATION:
        return ERROR.readOnlyField;
      case TYPE_CONTROL:
        this.#dirty(DIRTY_CONTROLS);
        break;
      case TYPE_HOST:
        this.#dirty(DIRTY_HOST);
        break;
      case TYPE_GUEST:
        // No check looks at RSP, nor, outside long mode, at RIP.
        if (encoding !== FIELD.guestRsp && encoding !== FIELD.guestRip) this.#dirty(DIRTY_GUEST);
        break;
    }
    this.set(encoding, fieldWidth(encoding) === WIDTH_16 ? value & 0xffff : value);
    return 0;
  }

  #dirty(bit: number): void {
    this.#state[DIRTY] = (this.#state[DIRTY] as number) | bit;
  }

  /** Revision identifier of a region; bit 31 would mark a shadow VMCS, which these processors lack. */
  revisionMatches(region: number): boolean {
    return this.#view.getInt32(this.#memory.ramBase + region, true) === REVISION;
  }
  get launched(): boolean {
    return (
      this.#view.getInt32(this.#memory.ramBase + (this.#state[VMCS_POINTER] as number) + LAUNCH_OFFSET, true) === 1
    );
  }
  /** Launch state of any region: 0 clear, 1 launched. */
  setLaunched(region: number, launched: number): void {
    this.#view.setInt32(this.#memory.ramBase + region + LAUNCH_OFFSET, launched, true);
  }
  setAbort(code: number): void {
    this.#view.setInt32(this.#memory.ramBase + (this.#state[VMCS_POINTER] as number) + ABORT_OFFSET, code, true);
  }
}
