/**
 * The handler table: one JavaScript function per instruction form in use, made from its meaning when code first needs it.
 */
import type { Instruction } from '../../isa/instruction.ts';
import { MEANINGS } from '../../isa/semantics/index.ts';
import type { Cpu } from '../cpu.ts';
import { arithmeticProcedures } from '../procedures/arithmetic.ts';
import { fpuProcedures } from '../procedures/fpu.ts';
import { fpuImageProcedures } from '../procedures/fpu-image.ts';
import { shiftProcedures } from '../procedures/shift.ts';
import { stackProcedures } from '../procedures/stack.ts';
import { stringProcedures } from '../procedures/string.ts';
import { STOP_MARKER } from '../signals.ts';
import { simdProcedures } from '../simd/procedures.ts';
import { CYCLES, EIP, MARKER_CODE, RETIRED_PENDING } from '../state.ts';
import { type Form, JsBuilder } from './js-builder.ts';
import {
  END_BLOCK,
  END_CHARGED,
  END_SYSTEM,
  HEADER_WORDS,
  INFO_INDEX_MASK,
  INFO_INDEX_SHIFT,
  INFO_OFFSET_MASK,
  R_COST,
  R_HANDLER,
  R_IMM,
  R_INFO,
  R_NEXT,
  RECORD_WORDS,
} from './record.ts';

/** What generated code calls the state arrays and the procedures. */
const NAMES = ['S', 'T', 'C', 'F', 'D', 'I8', 'I16', 'M', 'G', 'P', 'X', 'Z', 'K', 'H'];

/** Returns the next record's index, or one of record.ts's END codes (not positive). */
export type Handler = (p: number) => number;

/** Handler 0 ends a block that no transfer ends; handler 1 replaces the records of a block that was written to. */
export const END_HANDLER = 0;
export const MODIFIED_HANDLER = 1;
/** Handler 2 is every marker: an ordinary NOP that ends its block and stops the run. */
export const MARKER_HANDLER = 2;

/** Loads and stores of explicit memory operands, which the cost model prices on top of the instruction's class. */
export interface HandlerInfo {
  readonly loads: number;
  readonly stores: number;
  /** It ends its block through a system procedure. */
  readonly endsSystem: boolean;
  /** What it was made for; null for the three fixed handlers and for compiled blocks. */
  readonly form: Form | null;
}

const PLAIN: HandlerInfo = { loads: 0, stores: 0, endsSystem: false, form: null };

/** Record of the instruction that a compiled block was at when it faulted or ended in a system instruction. */
export const AT = 0;

export class HandlerTable {
  /** One word, AT, that compiled blocks write. */
  readonly position: Int32Array = new Int32Array(1);
  /** Handler numbers of dead compiled blocks, for reuse. */
  readonly #free: number[] = [];
  readonly #code: Int32Array;
  /** Indexed by R_HANDLER. Grows; its functions never change. */
  readonly handlers: Handler[] = [];
  readonly info: HandlerInfo[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #make: (source: string, name: string) => Handler;

  constructor(cpu: Cpu, code: Int32Array) {
    this.#code = code;
    const { state: S, time: T, fast, view, memory } = cpu.memory;
    const procedures = {
      ...arithmeticProcedures(cpu),
      ...shiftProcedures(cpu),
      ...stackProcedures(cpu),
      ...fpuProcedures(cpu),
      ...fpuImageProcedures(cpu),
      ...simdProcedures(cpu),
    };
    const strings = stringProcedures(cpu, code);
    const bytes = new Int8Array(memory.buffer);
    const words = new Int16Array(memory.buffer, 0, 64);
    this.#make = (source, name) =>
      new Function(...NAMES, `return function ${name}(p){${source}}`)(
        S,
        T,
        code,
        fast,
        view,
        bytes,
        words,
        cpu.mmu,
        cpu.segmentation,
        procedures,
        cpu.system,
        strings,
        this.position,
        this.handlers,
      ) as Handler;

    this.#add((p) => {
      S[EIP] = ((S[EIP] as number) + (code[p + R_NEXT] as number)) | 0;
      return END_BLOCK;
    });
    this.#add((p) => {
      const info = code[p + R_INFO] as number;
      S[EIP] = ((S[EIP] as number) + (info & INFO_OFFSET_MASK)) | 0;
      T[CYCLES] = (T[CYCLES] as number) + (code[p + R_COST] as number);
      S[RETIRED_PENDING] = (S[RETIRED_PENDING] as number) + ((info >> INFO_INDEX_SHIFT) & INFO_INDEX_MASK);
      return END_CHARGED;
    });
    this.#add((p) => {
      S[EIP] = ((S[EIP] as number) + (code[p + R_NEXT] as number)) | 0;
      T[CYCLES] = (T[CYCLES] as number) + (code[p + R_COST] as number);
      S[RETIRED_PENDING] =
        (S[RETIRED_PENDING] as number) + (((code[p + R_INFO] as number) >> INFO_INDEX_SHIFT) & INFO_INDEX_MASK);
      S[MARKER_CODE] = code[p + R_IMM] as number;
      return END_SYSTEM - STOP_MARKER;
    });
  }

  #add(handler: Handler, info: HandlerInfo = PLAIN): number {
    this.info.push(info);
    return this.handlers.push(handler) - 1;
  }

  /** Number of the handler for a form. */
  number(form: Form): number {
    return this.#numberOf(keyOf(form), form, null);
  }

  /** Number of the handler that does a compare-like instruction and the conditional branch after it in one dispatch. */
  fusedNumber(first: Form, branch: Form): number {
    return this.#numberOf(`${keyOf(first)}+${keyOf(branch)}`, first, branch);
  }

  /**
   * Makes one function of a hot block of `count` instructions, with its record words as literals, and returns its number.
   * Several times faster than a dispatch per instruction; it costs about 15 us an instruction once, so only hot blocks get it.
   */
  compile(block: number, count: number): number {
    const code = this.#code;
    let record = block + HEADER_WORDS;
    let builder: JsBuilder | null = null;
    for (let left = count; left > 0; left--, record += RECORD_WORDS) {
      const number = code[record + R_HANDLER] as number;
      const form = (this.info[number] as HandlerInfo).form;
      if (form === null) {
        if (builder === null) return number;
        builder.handOver(number, record);
        break;
      }
      builder ??= new JsBuilder(form, code);
      builder.nextRecord(form, record);
      meaningOf(form.instruction)(builder, form.instruction.condition);
      builder.endRecord(record, block);
    }
    if (builder === null) return END_HANDLER;
    builder.fallThrough(code[record + R_NEXT] as number);
    const handler = this.#make(builder.source(), `block_${(code[block] as number).toString(16)}`);
    const reused = this.#free.pop();
    if (reused === undefined) return this.#add(handler);
    this.handlers[reused] = handler;
    return reused;
  }

  /** A compiled block has died. */
  release(number: number): void {
    this.handlers[number] = this.handlers[MODIFIED_HANDLER] as Handler;
    this.#free.push(number);
  }

  #numberOf(key: string, form: Form, branch: Form | null): number {
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const builder = new JsBuilder(form);
    meaningOf(form.instruction)(builder, form.instruction.condition);
    if (branch !== null) {
      builder.fuse(branch);
      meaningOf(branch.instruction)(builder, branch.instruction.condition);
    }
    const name = `${form.instruction.semantics}_${this.handlers.length}`;
    const number = this.#add(this.#make(builder.source(), name), {
      loads: builder.loads,
      stores: builder.stores,
      endsSystem: builder.endsSystem,
      form,
    });
    this.#numbers.set(key, number);
    return number;
  }
}

function meaningOf(instruction: Instruction) {
  const meaning = MEANINGS[instruction.semantics];
  if (meaning === undefined)
    throw new Error(`The instruction ${instruction.mnemonic} has no meaning called '${instruction.semantics}'.`);
  return meaning;
}

function keyOf(form: Form): string {
  return `${form.instruction.id}.${form.operandSize}.${form.addressSize}.${form.memory}.${form.stack}.${form.code}.${form.repeat}`;
}
