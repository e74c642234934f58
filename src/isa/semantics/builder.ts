/**
 * The abstract builder: what a meaning may say. A meaning is written once, against this interface; tier 0's builder
 * turns it into a JavaScript handler over predecoded records, a compiler's builder into code for a region.
 *
 * Values are 32-bit integers. What `read` returns is sign-extended from the operand's size, which is the form that
 * the lazy flags want. Order is the contract for precise faults: everything that can fault (read, modify, load,
 * linear, store through `write` to memory) comes before the first register or flag change of an instruction.
 */
export type Size = 1 | 2 | 4;

export interface Builder<V> {
  /** Size of `v` operands. */
  readonly operandSize: 2 | 4;
  readonly addressSize: 2 | 4;
  /** Size in bytes of operand `index`. */
  size(index: number): Size;
  isMemory(index: number): boolean;
  isImmediateOperand(index: number): boolean;

  constant(value: number): V;
  /** Evaluates now, once, and names the result. */
  bind(value: V): V;
  /** Operand `index`, sign-extended. Evaluated now. */
  read(index: number): V;
  /** Operand `index`, zero-extended. */
  readUnsigned(index: number): V;
  /** Reads operand `index` with write intent: a later `write(index)` cannot fault. */
  modify(index: number): V;
  /** Writes the low bytes of `value` to operand `index`. */
  write(index: number, value: V, size?: Size): void;
  /** Immediate of the instruction as decoded (second one: ENTER's level, a far pointer's selector). */
  immediate(): V;
  immediate2(): V;
  /** Offset of the memory operand within its segment, cut to the address size. */
  effectiveAddress(): V;
  /** Linear address of the memory operand displaced by `offset`, checked for `bytes` bytes. */
  linear(bytes: number, write: boolean, offset?: V): V;
  /** As `linear` without an offset, counted as the operand's load or store: for operands that a procedure accesses. */
  operandLinear(bytes: number, write: boolean): V;
  /** Names the memory operand's view to the slow paths of a procedure; bit 0 says that the access is through SS. */
  operandTable(): V;
  /** Number of the memory operand's segment register. */
  memorySegment(): V;
  /** Offset of this instruction in its code segment. */
  address(): V;
  /** Names the memory operand's view to a procedure (see core/memory.ts). */
  table(): V;
  /** Loads from a linear address that `linear` gave, sign-extended. */
  load(size: Size, linear: V): V;
  /** Read-modify-write at a linear address: one write-intent look-up, then a store that cannot fault. */
  loadForUpdate(size: Size, linear: V): V;
  storeUpdated(size: Size, linear: V, value: V): void;
  register(number: number, size: Size): V;
  setRegister(number: number, size: Size, value: V): void;

  add(a: V, b: V): V;
  sub(a: V, b: V): V;
  and(a: V, b: V): V;
  or(a: V, b: V): V;
  xor(a: V, b: V): V;
  not(a: V): V;
  /** Low 32 bits of the product. */
  multiply(a: V, b: V): V;
  /** Shifts take their count modulo 32. */
  shiftLeft(a: V, count: V): V;
  shiftRight(a: V, count: V): V;
  shiftRightSigned(a: V, count: V): V;
  signExtend(a: V, size: Size): V;
  zeroExtend(a: V, size: Size): V;
  /** 0 or 1. */
  equal(a: V, b: V): V;
  lessUnsigned(a: V, b: V): V;
  lessSigned(a: V, b: V): V;
  select(condition: V, then: V, otherwise: V): V;
  when(condition: V, then: () => void, otherwise?: () => void): void;

  /** Sets the lazy flags (core/state.ts); `kind` lets a following condition read the operands instead. */
  flagsAdd(result: V, a: V, b: V): void;
  flagsSub(result: V, a: V, b: V): void;
  /** The same for a result that also has a borrow taken off: comparing `a` with `b` does not tell its conditions. */
  flagsSubBorrow(result: V, a: V, b: V): void;
  flagsLogic(result: V): void;
  /** As flagsAdd / flagsSub but with CF as it was. */
  flagsIncrement(result: V, a: V): void;
  flagsDecrement(result: V, a: V): void;
  /** ZF SF PF from `result`, CF OF AF given as 0 / 1. */
  flagsExplicit(result: V, carry: V, overflow: V): void;
  /** Sets CF (and OF if given), keeping the others. */
  setCarry(carry: V, overflow?: V): void;
  carry(): V;
  /** Condition number 0-15 as in Jcc: 0 or 1. */
  condition(number: number): V;
  setZero(zero: V): void;

  /** Value at stack pointer + `offset`, sign-extended. */
  stackLoad(offset: number, size: Size): V;
  stackStore(offset: number, size: Size, value: V): void;
  adjustStack(bytes: V): void;
  /** POP's store: the address is computed with the stack pointer already incremented, which changes only if the store succeeds. */
  popToMemory(value: V): void;

  /** Address of the next instruction. */
  next(): V;
  /**
   * Raises #GP(0) if `target` lies beyond the code segment's limit; `checkBranch`: the branch target, if the condition
   * holds. Said before the first state change; costs nothing where CS is flat.
   */
  checkTarget(target: V): void;
  checkBranch(condition: V): void;
  /** Ends the block at `target` (an offset in CS). */
  jump(target: V): void;
  /** Ends the block at the branch target if the condition holds, else at the next instruction. */
  branch(condition: V): void;
  /** The direct branch's target. */
  branchTarget(): V;

  /** An indirect near target cut to the operand size. */
  nearTarget(value: V): V;

  /** Number of the segment register that an operand names, that the instruction loads (LDS ..), and its selector. */
  segmentOperand(): V;
  segmentOfInstruction(): V;
  selector(): V;
  /** Raw ModRM reg and rm numbers (control and debug registers). */
  registerField(): V;
  rmField(): V;
  /** Linear address without a segment check (INVLPG). */
  effectiveLinear(): V;

  /** State slot of operand `index`, an MMX or XMM register. */
  vector(index: number): V;
  /** Words of the register file that operand `index` belongs to: 2 MMX, 4 XMM. */
  vectorWords(index: number): 2 | 4;
  /** Word `number` of the register at a slot. */
  word(slot: V, number: number): V;
  setWord(slot: V, number: number, value: V): void;
  /** #UD if SSE is not enabled, #NM if its state is another task's (SDM volume 3A, 13.1). Before anything else. */
  requireSse(): void;
  /** The same of MMX, and #MF if an x87 exception waits (SDM volume 3A, 12.5). */
  requireMmx(): void;
  /** `perform` for a procedure that cannot fault and neither reads nor writes flags or memory. */
  apply(procedure: string, ...args: V[]): void;

  /** Calls a core procedure (core/procedures) for its value, or for its effect. */
  call(procedure: string, ...args: V[]): V;
  perform(procedure: string, ...args: V[]): void;
  /**
   * Ends the block with a system procedure (core/system): time is exact and EIP is the next instruction's address
   * when it runs. It returns a STOP_* code or nothing.
   */
  system(procedure: string, args: V[]): void;
  /** The same for its value or effect, where more of the meaning follows; the meaning then calls `end`. */
  systemCall(procedure: string, args: V[]): V;
  systemEffect(procedure: string, args: V[]): void;
  end(): void;
  /** A string instruction: chunked, restartable (core/procedures/strings). */
  string(name: string): void;
  /** A VMX instruction. */
  vmx(name: string): void;
}

/** The meaning of an instruction. `condition` is the row's condition number. */
export type Meaning = <V>(b: Builder<V>, condition: number) => void;
