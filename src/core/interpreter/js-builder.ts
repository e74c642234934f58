/**
 * Tier 0's builder: turns a meaning into the source of a JavaScript handler `p => next p` over predecoded records.
 *
 * Handlers close over the state arrays, which are therefore constants to V8; one function per instruction form, called
 * through a table, never deoptimises as the instruction set grows (a big switch does, and past 60 KB of bytecode V8 gives up on it).
 */
import { CF, ZF } from '../../isa/eflags.ts';
import type { Instruction, OperandCode } from '../../isa/instruction.ts';
import type { Builder, Size } from '../../isa/semantics/builder.ts';
import { STACK_ACCESS, TABLE_ENTRIES } from '../memory.ts';
import * as state from '../state.ts';
import {
  END_BLOCK,
  END_CHARGED,
  R_AUX,
  R_BASE,
  R_COST,
  R_DISP,
  R_IMM,
  R_INDEX,
  R_INFO,
  R_NEXT,
  R_REG,
  R_RM,
  R_SCALE,
  R_TABLE,
  RECORD_WORDS,
} from './record.ts';

/** What a handler is specialised for, besides its instruction. */
export interface Form {
  readonly instruction: Instruction;
  readonly operandSize: 2 | 4;
  readonly addressSize: 2 | 4;
  /** 'flat': base 0 and no limit to check here (the view enforces it). 'checked': through Segmentation.linear. */
  readonly memory: 'none' | 'flat' | 'flatIndexed' | 'checked';
  readonly stack: 'flat' | 'checked';
  /** 'checked': a near transfer whose target is held against CS's limit. */
  readonly code: 'flat' | 'checked';
  /** Repeat prefix of string instructions: 0, 0xf2, 0xf3. */
  readonly repeat: number;
}

/** A JavaScript expression of int32 type. */
type Expression = string;

const SEGMENT_OPERANDS: readonly string[] = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'];

export function operandSizeOf(code: OperandCode, operandSize: 2 | 4): Size {
  switch (code) {
    case 'AL':
    case 'CL':
    case '1':
      return 1;
    case 'AX':
    case 'DX':
      return 2;
    case 'eAX':
    case 'Ibs':
    case 'M':
    case 'Mp':
    case 'Ms':
    case 'Ma':
    case 'Ap':
      return operandSize;
    default:
      break;
  }
  const last = code[code.length - 1];
  if (last === 'b') return 1;
  if (last === 'w') return 2;
  if (last === 'd') return 4;
  if (SEGMENT_OPERANDS.includes(code)) return 2;
  return operandSize;
}

export function isMemoryOperand(code: OperandCode, mod: number): boolean {
  const kind = code[0];
  if (kind === 'E' || kind === 'Q' || kind === 'W') return code !== 'ES' && mod !== 3;
  return kind === 'M' || kind === 'O';
}

export class JsBuilder implements Builder<Expression> {
  operandSize: 2 | 4;
  addressSize: 2 | 4;
  readonly #lines: string[] = [];
  #form: Form;
  #names = 0;
  #ended = false;
  #systemStarted = false;
  /** Cached name of the effective address, once computed. */
  #offset: Expression | null = null;
  /** Name of the pending `modify` of a memory operand: linear address, fast-table entry. */
  #pending: { linear: string; entry: string; size: Size } | null = null;
  /** What the flags are a function of, if set within this handler: lets a fused branch compare operands. */
  #flags: { kind: 'sub' | 'logic'; result: Expression; a: Expression; b: Expression } | null = null;
  /** Loads and stores of explicit memory operands so far. */
  loads = 0;
  stores = 0;
  /** A system procedure ends the block. */
  get endsSystem(): boolean {
    return this.#systemStarted;
  }
  /** Added to record fields: a fused second instruction reads the following record. */
  #base = 0;

  /** Block mode: the record store, whose words then stand in the source as literals. */
  readonly #literals: Int32Array | null;
  #record = 0;
  /** Block mode: flags that are set but not stored yet; a later instruction may make the stores needless. */
  #unstored: string | null = null;
  /** Depth of `when`: what is named inside is not visible outside. */
  #depth = 0;
  /** Line at which the current instruction starts, and whether it can leave the block from its middle. */
  #start = 0;
  #mayLeave = false;

  /**
   * Block mode: what the block has asked already. CR0 and CR4 change in system instructions only, which end a block; an
   * x87 exception can come to wait after any x87 instruction.
   */
  #sseChecked = false;
  #mmxChecked = false;

  /** Builds one handler for `form`; with `literals`, one function for a whole block, fed by `nextRecord`. */
  constructor(form: Form, literals: Int32Array | null = null) {
    this.#form = form;
    this.#literals = literals;
    this.operandSize = form.operandSize;
    this.addressSize = form.addressSize;
  }

  /** Block mode: the coming meaning is that of the record at `record`. */
  nextRecord(form: Form, record: number): void {
    this.#form = form;
    this.operandSize = form.operandSize;
    this.addressSize = form.addressSize;
    this.#record = record;
    if (form.instruction.cost.startsWith('fpu')) this.#mmxChecked = false;
    this.#offset = null;
    this.#pending = null;
    this.#start = this.#lines.length;
    this.#mayLeave = false;
    this.#systemStarted = false;
    this.stores = 0;
  }
  /**
   * Block mode: the instruction at `record` is complete. If it could fault, K tells the run loop which one it was; if it
   * stored, the block may have been its own victim and then ends here.
   */
  endRecord(record: number, block: number): void {
    if (this.#mayLeave) this.#lines.splice(this.#start, 0, `K[0]=${record};`);
    if (this.#ended || this.stores === 0) return;
    this.#storeFlags();
    this.#emit(`if(C[${block}]<0)return H[1](${record + RECORD_WORDS});`);
  }
  /** Block mode: the block runs on at `next` bytes from its start. */
  fallThrough(next: number): void {
    if (!this.#ended) this.jump(`S[${state.EIP}]+${next}|0`);
  }
  /** Block mode: ends in a ready-made handler (a marker). */
  handOver(handler: number, record: number): void {
    this.#storeFlags();
    this.#emit(`K[0]=${record};return H[${handler}](${record});`);
    this.#ended = true;
  }

  /** Continues with the next record's instruction in the same handler (compare and branch fusion). */
  fuse(form: Form): void {
    this.#form = form;
    this.operandSize = form.operandSize;
    this.addressSize = form.addressSize;
    this.#base = RECORD_WORDS;
    this.#offset = null;
    this.#pending = null;
  }

  /** The handler's body. */
  source(): string {
    if (!this.#ended) this.#lines.push(`return p+${this.#base + RECORD_WORDS};`);
    return this.#lines.join('\n');
  }

  #field(word: number): string {
    if (this.#literals !== null) {
      const value = this.#literals[this.#record + word] as number;
      return value < 0 ? `(${value})` : String(value);
    }
    return `C[${this.#position(word)}]`;
  }
  /** Index of a word of the current record. */
  #position(word: number): string {
    if (this.#literals !== null) return String(this.#record + word);
    const offset = this.#base + word;
    return offset === 0 ? 'p' : `p+${offset}`;
  }
  /** Before anything that may fault, leave or look at the flags. */
  #leaving(): void {
    this.#mayLeave = true;
    this.#storeFlags();
  }
  #storeFlags(): void {
    if (this.#unstored === null) return;
    const line = this.#unstored;
    this.#unstored = null;
    this.#emit(line);
  }
  #emit(line: string): void {
    this.#lines.push(line);
  }
  #name(): string {
    this.#names += 1;
    return `v${this.#names}`;
  }
  #code(index: number): OperandCode {
    return this.#form.instruction.operands[index] as OperandCode;
  }

  size(index: number): Size {
    return operandSizeOf(this.#code(index), this.operandSize);
  }
  isMemory(index: number): boolean {
    const code = this.#form.instruction.operands[index];
    return code !== undefined && this.#form.memory !== 'none' && isMemoryOperand(code, 0);
  }
  isImmediateOperand(index: number): boolean {
    return this.#code(index)[0] === 'I';
  }
  constant(value: number): Expression {
    return value < 0 ? `(${value})` : `${value}`;
  }
  bind(value: Expression): Expression {
    const name = this.#name();
    this.#emit(`const ${name}=${value};`);
    return name;
  }

  read(index: number): Expression {
    const code = this.#code(index);
    const size = this.size(index);
    if (this.isMemory(index)) return this.#loadOperand(size);
    if (code === '1') return '1';
    if (code === 'Ib') return `(${this.#field(R_IMM)}<<24>>24)`;
    if (code === 'Iw') return `(${this.#field(R_IMM)}<<16>>16)`;
    if (code[0] === 'I') return this.#field(R_IMM);
    return this.bind(this.#registerOperand(code, size));
  }
  readUnsigned(index: number): Expression {
    const size = this.size(index);
    return size === 4 ? this.read(index) : this.zeroExtend(this.read(index), size);
  }
  /** Array element that holds a register operand. */
  #registerOperand(code: OperandCode, size: Size): string {
    if (code === 'AL') return 'I8[0]';
    if (code === 'AX') return 'I16[0]';
    if (code === 'eAX') return this.#registerElement('0', size);
    if (code === 'CL') return 'I8[8]';
    if (code === 'DX') return 'I16[8]';
    const word = code[0] === 'E' || code[0] === 'R' ? R_RM : R_REG;
    return this.#registerElement(this.#field(word), size);
  }
  #registerElement(index: string, size: Size): string {
    return size === 4 ? `S[${index}]` : size === 2 ? `I16[${index}]` : `I8[${index}]`;
  }
  modify(index: number): Expression {
    if (!this.isMemory(index)) return this.read(index);
    const size = this.size(index);
    this.loads += 1;
    this.#leaving();
    const linear = this.#linearOperand(size, true);
    const entry = this.#name();
    const table = this.#field(R_TABLE);
    this.#emit(`const ${entry}=F[${table}+${TABLE_ENTRIES}+(${linear}>>>12)];`);
    this.#pending = { linear, entry, size };
    const value = this.#name();
    this.#emit(
      `const ${value}=${this.#slow(entry, linear, size)}?${signed(`M.loadForUpdate${8 * size}(${linear},${this.#operandSlowTable()})`, size)}:${fastLoad(`${linear}+${entry}|0`, size)};`,
    );
    return value;
  }
  write(index: number, value: Expression, size: Size = this.size(index)): void {
    if (!this.isMemory(index)) {
      const code = this.#code(index);
      if (size !== this.size(index)) {
        // A register destination wider than the operand code says: only selectors and table registers do this.
        this.#emit(
          `${this.#registerElement(size === 4 ? `${this.#field(R_RM)}>>1` : this.#field(R_RM), size)}=${value};`,
        );
        return;
      }
      this.#emit(`${this.#registerOperand(code, size)}=${value};`);
      return;
    }
    this.stores += 1;
    const table = this.#field(R_TABLE);
    const pending = this.#pending;
    if (pending !== null) {
      const { linear, entry } = pending;
      this.#emit(
        `if(${this.#slow(entry, linear, size)})M.storeUpdated${8 * size}(${linear},${value},${this.#operandSlowTable()});else ${fastStore(`${linear}+${entry}|0`, value, size)};`,
      );
      return;
    }
    const linear = this.#linearOperand(size, true);
    this.#store(linear, table, value, size);
  }

  /** True if the access must take the slow path: entry invalid, or crossing the page's end. */
  #slow(entry: string, linear: string, size: Size): string {
    return size === 1 ? `(${entry}&4095)!==0` : `(${entry}&4095)+(${linear}&4095)>${4096 - size}`;
  }
  /** What a slow path is told: the view, and whether the access is through SS, whose limit violation is #SS. */
  #operandSlowTable(): string {
    const aux = this.#field(R_AUX);
    return `${this.#field(R_TABLE)}|${aux}>>1&~${aux}&${STACK_ACCESS}`;
  }
  #loadAt(linear: string, table: string, size: Size, slowTable: string = this.#operandSlowTable()): Expression {
    this.#leaving();
    const entry = this.#name();
    const value = this.#name();
    this.#emit(`const ${entry}=F[${table}+(${linear}>>>12)];`);
    this.#emit(
      `const ${value}=${this.#slow(entry, linear, size)}?${signed(`M.load${8 * size}(${linear},${slowTable})`, size)}:${fastLoad(`${linear}+${entry}|0`, size)};`,
    );
    return value;
  }
  #store(
    linear: string,
    table: string,
    value: Expression,
    size: Size,
    slowTable: string = this.#operandSlowTable(),
  ): void {
    this.#leaving();
    const entry = this.#name();
    this.#emit(`const ${entry}=F[${table}+${TABLE_ENTRIES}+(${linear}>>>12)];`);
    this.#emit(
      `if(${this.#slow(entry, linear, size)})M.store${8 * size}(${linear},${value},${slowTable});else ${fastStore(`${linear}+${entry}|0`, value, size)};`,
    );
  }
  #loadOperand(size: Size): Expression {
    this.loads += 1;
    return this.#loadAt(this.#linearOperand(size, false), this.#field(R_TABLE), size);
  }

  effectiveAddress(): Expression {
    if (this.#offset !== null) return this.#offset;
    const base = `S[${this.#field(R_BASE)}]`;
    const index = this.#form.memory === 'flat' ? '' : `+(S[${this.#field(R_INDEX)}]<<${this.#field(R_SCALE)})`;
    const sum = `${base}${index}+${this.#field(R_DISP)}`;
    this.#offset = this.bind(this.addressSize === 2 ? `(${sum})&65535` : `${sum}|0`);
    return this.#offset;
  }
  #linearOperand(bytes: number, write: boolean): string {
    const offset = this.effectiveAddress();
    return this.#form.memory === 'checked' ? this.#checked(offset, bytes, write) : offset;
  }
  #checked(offset: Expression, bytes: number, write: boolean): Expression {
    this.#leaving();
    return this.bind(`G.linear(${this.#field(R_AUX)}&7,${offset},${bytes},${write})|0`);
  }
  linear(bytes: number, write: boolean, offset?: Expression): Expression {
    const effective = this.effectiveAddress();
    const sum =
      offset === undefined ? effective : `(${effective}+${offset}${this.addressSize === 2 ? '&65535' : '|0'})`;
    return this.#form.memory === 'checked' ? this.#checked(sum, bytes, write) : this.bind(sum);
  }
  operandLinear(bytes: number, write: boolean): Expression {
    if (write) this.stores += 1;
    else this.loads += 1;
    this.#leaving();
    return this.linear(bytes, write);
  }
  operandTable(): Expression {
    return `(${this.#operandSlowTable()})`;
  }
  memorySegment(): Expression {
    return `(${this.#field(R_AUX)}&7)`;
  }
  address(): Expression {
    return `(S[${state.EIP}]+(${this.#field(R_INFO)}&8191)|0)`;
  }
  effectiveLinear(): Expression {
    const offset = this.effectiveAddress();
    return this.#form.memory === 'checked'
      ? `(S[${state.SEGMENTS + state.BASE}+${state.SEGMENT_STRIDE}*(${this.#field(R_AUX)}&7)]+${offset}|0)`
      : offset;
  }
  table(): Expression {
    return this.#field(R_TABLE);
  }
  load(size: Size, linear: Expression): Expression {
    return this.#loadAt(this.bind(linear), this.#field(R_TABLE), size);
  }
  loadForUpdate(size: Size, linear: Expression): Expression {
    this.#leaving();
    return signed(`M.loadForUpdate${8 * size}(${linear},${this.#field(R_TABLE)})`, size);
  }
  storeUpdated(size: Size, linear: Expression, value: Expression): void {
    this.stores += 1;
    this.#emit(`M.storeUpdated${8 * size}(${linear},${value},${this.#field(R_TABLE)});`);
  }
  register(number: number, size: Size): Expression {
    return this.#registerElement(String(registerIndex(number, size)), size);
  }
  setRegister(number: number, size: Size, value: Expression): void {
    this.#emit(`${this.#registerElement(String(registerIndex(number, size)), size)}=${value};`);
  }
  immediate(): Expression {
    return this.#field(R_IMM);
  }
  immediate2(): Expression {
    return this.#field(R_AUX);
  }

  add(a: Expression, b: Expression): Expression {
    return `(${a}+${b}|0)`;
  }
  sub(a: Expression, b: Expression): Expression {
    return `(${a}-${b}|0)`;
  }
  and(a: Expression, b: Expression): Expression {
    return `(${a}&${b})`;
  }
  or(a: Expression, b: Expression): Expression {
    return `(${a}|${b})`;
  }
  xor(a: Expression, b: Expression): Expression {
    return `(${a}^${b})`;
  }
  not(a: Expression): Expression {
    return `(~${a})`;
  }
  multiply(a: Expression, b: Expression): Expression {
    return `Math.imul(${a},${b})`;
  }
  shiftLeft(a: Expression, count: Expression): Expression {
    return `(${a}<<${count})`;
  }
  shiftRight(a: Expression, count: Expression): Expression {
    return `(${a}>>>${count}|0)`;
  }
  shiftRightSigned(a: Expression, count: Expression): Expression {
    return `(${a}>>${count})`;
  }
  signExtend(a: Expression, size: Size): Expression {
    return size === 4 ? a : size === 2 ? `(${a}<<16>>16)` : `(${a}<<24>>24)`;
  }
  zeroExtend(a: Expression, size: Size): Expression {
    return size === 4 ? a : size === 2 ? `(${a}&65535)` : `(${a}&255)`;
  }
  equal(a: Expression, b: Expression): Expression {
    return `(${a}===${b}?1:0)`;
  }
  lessUnsigned(a: Expression, b: Expression): Expression {
    return `(${a}>>>0<${b}>>>0?1:0)`;
  }
  lessSigned(a: Expression, b: Expression): Expression {
    return `(${a}<${b}?1:0)`;
  }
  select(condition: Expression, then: Expression, otherwise: Expression): Expression {
    return `(${condition}?${then}:${otherwise})`;
  }
  when(condition: Expression, then: () => void, otherwise?: () => void): void {
    this.#storeFlags();
    this.#depth += 1;
    this.#emit(`if(${condition}){`);
    then();
    if (otherwise !== undefined) {
      this.#emit('}else{');
      otherwise();
    }
    this.#emit('}');
    this.#depth -= 1;
    this.#flags = null;
  }

  #setFlags(result: Expression, x: Expression, y: Expression, xor: Expression): void {
    this.#flags = null;
    const line = `S[${state.FLAG_R}]=${result};S[${state.FLAG_X}]=${x};S[${state.FLAG_Y}]=${y};S[${state.FLAG_XOR}]=${xor};`;
    if (this.#literals !== null && this.#depth === 0) this.#unstored = line;
    else this.#emit(line);
  }
  flagsAdd(result: Expression, a: Expression, b: Expression): void {
    this.#setFlags(result, a, b, '0');
  }
  flagsSub(result: Expression, a: Expression, b: Expression): void {
    this.flagsSubBorrow(result, a, b);
    this.#flags = { kind: 'sub', result, a, b };
  }
  flagsSubBorrow(result: Expression, a: Expression, b: Expression): void {
    this.#setFlags(result, a, `~${b}`, '17');
  }
  flagsLogic(result: Expression): void {
    this.#setFlags(result, result, '0', '0');
    this.#flags = { kind: 'logic', result, a: result, b: result };
  }
  flagsIncrement(result: Expression, a: Expression): void {
    const carry = this.bind(this.carry());
    this.#setFlags(result, a, '1', `(${result}===0?1:0)^${carry}`);
  }
  flagsDecrement(result: Expression, a: Expression): void {
    const carry = this.bind(this.carry());
    this.#setFlags(result, a, '-2', `(${a}!==0?1:0)^${carry}|16`);
  }
  flagsExplicit(result: Expression, carry: Expression, overflow: Expression): void {
    this.#setFlags(result, result, '0', `${carry}|${overflow}<<11`);
  }
  setCarry(carry: Expression, overflow?: Expression): void {
    this.#storeFlags();
    this.#flags = null;
    const value = this.bind(carry);
    if (overflow === undefined) {
      this.#emit(`S[${state.FLAG_XOR}]=S[${state.FLAG_XOR}]&~${CF}|(${RAW_CARRY}^${value});`);
    } else {
      this.#emit(
        `S[${state.FLAG_XOR}]=S[${state.FLAG_XOR}]&~2049|(${RAW_CARRY}^${value})|(${RAW_OVERFLOW}^${overflow})<<11;`,
      );
    }
  }
  carry(): Expression {
    this.#storeFlags();
    return `(${RAW_CARRY}^S[${state.FLAG_XOR}]&1)`;
  }
  setZero(zero: Expression): void {
    this.#storeFlags();
    this.#flags = null;
    this.#emit(`S[${state.FLAG_XOR}]=S[${state.FLAG_XOR}]&~${ZF}|((S[${state.FLAG_R}]===0?1:0)^${zero})<<6;`);
  }
  condition(number: number): Expression {
    const known = this.#flags;
    if (known === null) this.#storeFlags();
    const positive = known === null ? flagCondition(number >> 1) : knownCondition(number >> 1, known);
    return (number & 1) === 0 ? `(${positive}?1:0)` : `(${positive}?0:1)`;
  }

  stackLoad(offset: number, size: Size): Expression {
    this.#leaving();
    if (this.#form.stack === 'checked') return this.bind(signed(`P.stackLoad(${offset},${size})`, size));
    const linear = this.bind(`S[${state.ESP}]+${offset}|0`);
    return this.#loadAt(linear, this.#stackTable(), size, `${this.#stackTable()}|${STACK_ACCESS}`);
  }
  stackStore(offset: number, size: Size, value: Expression): void {
    this.#leaving();
    if (this.#literals !== null) this.stores += 1;
    if (this.#form.stack === 'checked') {
      this.#emit(`P.stackStore(${offset},${size},${value});`);
      return;
    }
    const linear = this.bind(`S[${state.ESP}]+(${offset})|0`);
    this.#store(linear, this.#stackTable(), value, size, `${this.#stackTable()}|${STACK_ACCESS}`);
  }
  #stackTable(): string {
    return this.#form.memory === 'none' ? this.#field(R_TABLE) : `(${this.#field(R_AUX)}>>3)`;
  }
  adjustStack(bytes: Expression): void {
    if (this.#form.stack === 'checked') this.#emit(`P.adjustStack(${bytes});`);
    else this.#emit(`S[${state.ESP}]=S[${state.ESP}]+${bytes}|0;`);
  }
  popToMemory(value: Expression): void {
    const size = this.operandSize;
    const before = this.bind(`S[${state.ESP}]`);
    this.adjustStack(String(size));
    const offset = this.effectiveAddress();
    const after = this.bind(`S[${state.ESP}]`);
    this.#emit(`S[${state.ESP}]=${before};`);
    const linear = this.#form.memory === 'checked' ? this.#checked(offset, size, true) : offset;
    this.#store(linear, this.#field(R_TABLE), value, size);
    this.#emit(`S[${state.ESP}]=${after};`);
  }

  #nextOffset(): string {
    return this.#form.memory === 'none'
      ? this.#field(R_NEXT)
      : `(${this.#field(R_INFO)}&8191)+(${this.#field(R_INFO)}>>>20)`;
  }
  next(): Expression {
    return this.bind(`S[${state.EIP}]+${this.#nextOffset()}|0`);
  }
  branchTarget(): Expression {
    const target = `S[${state.EIP}]+${this.#field(R_IMM)}|0`;
    return this.operandSize === 2 ? `((${target})&65535)` : `(${target})`;
  }
  nearTarget(value: Expression): Expression {
    return this.operandSize === 2 ? `(${value}&65535)` : value;
  }
  checkTarget(target: Expression): void {
    if (this.#form.code === 'flat') return;
    this.#leaving();
    this.#emit(`if((${target})>>>0>S[${CS_LIMIT}]>>>0)P.outsideCode();`);
  }
  checkBranch(condition: Expression): void {
    if (this.#form.code === 'flat') return;
    this.#leaving();
    this.#emit(`if((${condition})&&(${this.branchTarget()})>>>0>S[${CS_LIMIT}]>>>0)P.outsideCode();`);
  }
  jump(target: Expression): void {
    this.#storeFlags();
    this.#emit(`S[${state.EIP}]=${target};return ${END_BLOCK};`);
    this.#ended = true;
  }
  branch(condition: Expression): void {
    const next = `S[${state.EIP}]+${this.#nextOffset()}|0`;
    // A 16-bit operand size cuts the target, but not the address of the next instruction (SDM 2A Jcc).
    if (this.operandSize === 2) this.jump(`${condition}?${this.branchTarget()}:${next}`);
    else this.jump(`S[${state.EIP}]+(${condition}?${this.#field(R_IMM)}:${this.#nextOffset()})|0`);
  }

  segmentOperand(): Expression {
    const named = this.#form.instruction.operands.find((code) => SEGMENT_OPERANDS.includes(code));
    return named === undefined ? this.#field(R_REG) : String(SEGMENT_OPERANDS.indexOf(named));
  }
  segmentOfInstruction(): Expression {
    const name = this.#form.instruction.mnemonic.slice(1).toUpperCase();
    return String(SEGMENT_OPERANDS.indexOf(name));
  }
  selector(): Expression {
    return `(S[${state.SEGMENTS + state.SELECTOR}+${state.SEGMENT_STRIDE}*${this.segmentOperand()}]&65535)`;
  }
  registerField(): Expression {
    return this.#field(R_REG);
  }
  rmField(): Expression {
    return `(${this.#field(R_RM)}>>1)`;
  }

  vector(index: number): Expression {
    const field = this.#field(/^[PV]/.test(this.#code(index)) ? R_REG : R_RM);
    return this.#literals === null ? this.bind(field) : field;
  }
  vectorWords(index: number): 2 | 4 {
    return /^[PQN]/.test(this.#code(index)) ? 2 : 4;
  }
  word(slot: Expression, number: number): Expression {
    return `S[${this.#slot(slot, number)}]`;
  }
  setWord(slot: Expression, number: number, value: Expression): void {
    this.#emit(`S[${this.#slot(slot, number)}]=${value};`);
  }
  #slot(slot: Expression, number: number): string {
    return this.#literals === null || !/^\d+$/.test(slot) ? `${slot}+${number}` : String(Number(slot) + number);
  }
  requireSse(): void {
    if (this.#sseChecked) return;
    this.#leaving();
    this.#emit(
      `if((S[${state.CR0}]&${state.CR0_EM | state.CR0_TS}|~S[${state.CR4}]&${state.CR4_OSFXSR})!==0)P.sseNotReady();`,
    );
    this.#sseChecked = this.#literals !== null;
  }
  requireMmx(): void {
    if (this.#mmxChecked) return;
    this.perform('mmxReady');
    this.#mmxChecked = this.#literals !== null;
  }
  apply(procedure: string, ...args: Expression[]): void {
    this.#emit(`P.${procedure}(${args.join(',')});`);
  }

  call(procedure: string, ...args: Expression[]): Expression {
    this.#leaving();
    return `P.${procedure}(${args.join(',')})`;
  }
  perform(procedure: string, ...args: Expression[]): void {
    this.#leaving();
    this.#flags = null;
    this.#emit(`P.${procedure}(${args.join(',')});`);
  }
  #startSystem(): void {
    this.#leaving();
    if (this.#systemStarted) return;
    this.#systemStarted = true;
    this.#emit(
      `T[${state.CYCLES}]+=${this.#field(R_COST)};S[${state.RETIRED_PENDING}]+=${this.#field(R_INFO)}>>13&127;`,
    );
    this.#emit(`S[${state.PRECHARGED}]=1;S[${state.EIP}]=S[${state.EIP}]+${this.#nextOffset()}|0;`);
  }
  system(procedure: string, args: Expression[]): void {
    const bound = args.map((argument) => this.bind(argument));
    this.#startSystem();
    this.#emit(`return -1-(X.${procedure}(${bound.join(',')})|0);`);
    this.#ended = true;
  }
  systemCall(procedure: string, args: Expression[]): Expression {
    const bound = args.map((argument) => this.bind(argument));
    this.#startSystem();
    this.#flags = null;
    return this.bind(`X.${procedure}(${bound.join(',')})`);
  }
  systemEffect(procedure: string, args: Expression[]): void {
    this.systemCall(procedure, args);
  }
  end(): void {
    this.#storeFlags();
    this.#emit('return -1;');
    this.#ended = true;
  }
  string(name: string): void {
    const size = operandSizeOf(this.#stringOperand(), this.operandSize);
    this.#leaving();
    this.#flags = null;
    if (this.#literals !== null) this.stores += 1;
    const info = this.#field(R_INFO);
    const invocation = `Z.${name}(${this.#position(0)},${size},${this.addressSize},${this.#form.repeat})`;
    if (name === 'ins' || name === 'outs') {
      this.#startSystem();
      this.#emit(
        `if(${invocation}){S[${state.PRECHARGED}]=0;S[${state.EIP}]=S[${state.EIP}]-(${info}>>>20)|0;return ${END_CHARGED};}return -1;`,
      );
      this.#ended = true;
      return;
    }
    if (this.#form.repeat === 0) {
      this.#emit(`${invocation};`);
      return;
    }
    this.#emit(
      `if(${invocation}){T[${state.CYCLES}]+=${this.#field(R_COST)};S[${state.RETIRED_PENDING}]+=${info}>>13&127;S[${state.EIP}]=S[${state.EIP}]+(${info}&8191)|0;return ${END_CHARGED};}`,
    );
  }
  #stringOperand(): OperandCode {
    const operands = this.#form.instruction.operands;
    return (operands.find((code) => code[0] === 'X' || code[0] === 'Y') ?? operands[0]) as OperandCode;
  }
  vmx(name: string): void {
    const { instruction, memory } = this.#form;
    const hasModrm = instruction.operands.length > 0;
    const rm = hasModrm && memory === 'none' ? this.rmField() : '-1';
    const linear = memory === 'none' ? '0' : this.effectiveLinear();
    this.system('vmx', [JSON.stringify(name), linear, this.#field(R_TABLE), `${this.#field(R_REG)}>>1`, rm]);
  }
}

const CS_LIMIT = state.segmentSlot(state.CS) + state.LIMIT;
const RAW_CARRY = `((S[${state.FLAG_X}]&S[${state.FLAG_Y}]|(S[${state.FLAG_X}]|S[${state.FLAG_Y}])&~S[${state.FLAG_R}])>>>31)`;
const RAW_OVERFLOW = `(((S[${state.FLAG_X}]^S[${state.FLAG_R}])&(S[${state.FLAG_Y}]^S[${state.FLAG_R}]))>>>31)`;
const XOR = `S[${state.FLAG_XOR}]`;
const RESULT = `S[${state.FLAG_R}]`;
const ZERO = `(${RESULT}===0)!==((${XOR}&64)!==0)`;
const SIGN = `${RESULT}<0!==((${XOR}&128)!==0)`;
const CARRY = `(${RAW_CARRY}^${XOR}&1)!==0`;
const OVERFLOW = `(${RAW_OVERFLOW}^${XOR}>>11&1)!==0`;

/** Jcc's even condition `2 * pair` from the lazy flags, as a boolean expression. */
function flagCondition(pair: number): string {
  switch (pair) {
    case 0:
      return `(${OVERFLOW})`;
    case 1:
      return `(${CARRY})`;
    case 2:
      return `(${ZERO})`;
    case 3:
      return `((${CARRY})||(${ZERO}))`;
    case 4:
      return `(${SIGN})`;
    case 5:
      return `(P.parity(${RESULT},${XOR}))`;
    case 6:
      return `((${SIGN})!==(${OVERFLOW}))`;
    default:
      return `((${ZERO})||(${SIGN})!==(${OVERFLOW}))`;
  }
}

/** The same where the handler itself has just compared or tested. */
function knownCondition(pair: number, flags: { kind: 'sub' | 'logic'; result: string; a: string; b: string }): string {
  const { kind, result, a, b } = flags;
  if (kind === 'logic') {
    switch (pair) {
      case 0:
      case 1:
        return 'false';
      case 2:
      case 3:
        return `(${result}===0)`;
      case 4:
      case 6:
        return `(${result}<0)`;
      case 5:
        return `(P.parity(${result},0))`;
      default:
        return `(${result}<=0)`;
    }
  }
  switch (pair) {
    case 0:
      return `((${a}^${b})&(${a}^${result}))<0`;
    case 1:
      return `(${a}>>>0<${b}>>>0)`;
    case 2:
      return `(${a}===${b})`;
    case 3:
      return `(${a}>>>0<=${b}>>>0)`;
    case 4:
      return `(${result}<0)`;
    case 5:
      return `(P.parity(${result},0))`;
    case 6:
      return `(${a}<${b})`;
    default:
      return `(${a}<=${b})`;
  }
}

/** Index of register `number` in the array for `size`: byte registers 4-7 are AH CH DH BH. */
export function registerIndex(number: number, size: Size): number {
  return size === 4 ? 2 * number : size === 2 ? 4 * number : (number & 3) * 8 + (number >> 2);
}

function signed(expression: string, size: Size): string {
  return size === 4 ? expression : size === 2 ? `(${expression}<<16>>16)` : `(${expression}<<24>>24)`;
}
function fastLoad(host: string, size: Size): string {
  return size === 4 ? `D.getInt32(${host},true)` : size === 2 ? `D.getInt16(${host},true)` : `I8[${host}]`;
}
function fastStore(host: string, value: string, size: Size): string {
  return size === 4
    ? `D.setInt32(${host},${value},true)`
    : size === 2
      ? `D.setInt16(${host},${value},true)`
      : `I8[${host}]=${value}`;
}
