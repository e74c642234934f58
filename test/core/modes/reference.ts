/**
 * SDM 2A CALL, INT n, IRET, JMP, 2B RET once more, as plainly as possible: what the core's far transfers and event delivery are
 * judged against. Protected and virtual-8086 mode, without task gates; the pseudo-code's order, its names where it has any.
 */

export interface CachedSegment {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  /** Type, S, DPL, P as in the second descriptor byte. */
  readonly access: number;
  readonly big: boolean;
}

export interface Context {
  readonly read: (at: number, size: 2 | 4) => number;
  readonly gdt: number;
  readonly gdtLimit: number;
  readonly idt: number;
  readonly idtLimit: number;
  readonly tss: { readonly base: number; readonly limit: number; readonly wide: boolean; readonly selector: number };
  readonly cpl: number;
  readonly cs: CachedSegment;
  readonly ss: CachedSegment;
  /** EIP: of the next instruction. */
  readonly eip: number;
  readonly esp: number;
  readonly eflags: number;
  /** ES DS FS GS. */
  readonly data: readonly CachedSegment[];
}

export interface Fault {
  readonly vector: number;
  readonly error: number;
}

/** What is different afterwards; stack words are listed from the new stack pointer up. */
export interface Transfer {
  readonly cs: CachedSegment;
  readonly eip: number;
  readonly cpl: number;
  readonly ss: CachedSegment;
  readonly esp: number;
  readonly pushed: readonly number[];
  readonly size: 2 | 4;
  readonly eflags: number;
  /** Of ES DS FS GS: which are null now. */
  readonly dropped: readonly boolean[];
}

export type Outcome = { readonly fault: Fault } | { readonly transfer: Transfer };

const TS = 10;
const NP = 11;
const SS = 12;
const GP = 13;
const IF = 0x200;
const VM = 0x20000;

class Raised {
  readonly fault: Fault;
  constructor(vector: number, error: number) {
    this.fault = { vector, error };
  }
}
function fail(vector: number, error: number): never {
  throw new Raised(vector, error);
}

interface Descriptor extends CachedSegment {
  readonly low: number;
  readonly high: number;
}

const isNull = (selector: number): boolean => selector >>> 2 === 0;
const index = (selector: number): number => selector & 0xfffc;
const dplOf = (access: number): number => (access >> 5) & 3;
const isPresent = (access: number): boolean => (access & 0x80) !== 0;
const isCode = (access: number): boolean => (access & 0x18) === 0x18;
const isConforming = (access: number): boolean => (access & 4) !== 0;
const isWritable = (access: number): boolean => (access & 0x1a) === 0x12;

/** The descriptor, or a fault with the selector (and EXT) if its table ends before it. There is no LDT. */
function descriptor(c: Context, selector: number, vector: number, ext: number): Descriptor {
  if ((selector & 4) !== 0 || (selector | 7) > c.gdtLimit) fail(vector, index(selector) | ext);
  const low = c.read(c.gdt + (selector & 0xfff8), 4) >>> 0;
  const high = c.read(c.gdt + (selector & 0xfff8) + 4, 4) >>> 0;
  const raw = (high & 0xf0000) | (low & 0xffff);
  return {
    low,
    high,
    selector,
    base: ((high & 0xff000000) | ((high & 0xff) << 16) | (low >>> 16)) >>> 0,
    limit: (high & 0x800000) !== 0 ? raw * 4096 + 4095 : raw,
    access: (high >>> 8) & 0xff,
    big: (high & 0x400000) !== 0,
  };
}

/** Whether `size` bytes at `offset` lie within a segment (SDM 3A 5.3). */
function within(segment: CachedSegment, offset: number, size: number): boolean {
  const last = offset + size - 1;
  const expandDown = (segment.access & 0x1c) === 0x14;
  if (expandDown) return offset > segment.limit && last <= (segment.big ? 0xffffffff : 0xffff);
  return segment.limit === 0xffffffff || last <= segment.limit;
}

const stackOffset = (ss: CachedSegment, pointer: number): number => (ss.big ? pointer >>> 0 : pointer & 0xffff);

/** Where a pointer ends up in ESP: a 16-bit stack changes its low half only. */
function stackPointer(c: Context, ss: CachedSegment, pointer: number): number {
  return ss.big ? pointer >>> 0 : ((c.esp & 0xffff0000) | (pointer & 0xffff)) >>> 0;
}

function requireRoom(ss: CachedSegment, pointer: number, words: number, size: number, error: number): void {
  for (let i = 1; i <= words; i++) if (!within(ss, stackOffset(ss, pointer - i * size), size)) fail(SS, error);
}

function popped(c: Context, at: number, size: 2 | 4): number {
  const offset = stackOffset(c.ss, c.esp + at);
  if (!within(c.ss, offset, size)) fail(SS, 0);
  return c.read(c.ss.base + offset, size) >>> 0;
}

function transfer(c: Context, changes: Partial<Transfer>): Transfer {
  const none = c.data.map(({ selector }) => isNull(selector));
  const base = { cs: c.cs, eip: c.eip, cpl: c.cpl, ss: c.ss, esp: c.esp, pushed: [], size: 4 as const };
  return { ...base, eflags: c.eflags, dropped: none, ...changes };
}

/** The code segment with the selector's RPL replaced by the CPL it will run at. */
const at = (d: Descriptor, cpl: number): CachedSegment => ({ ...d, selector: index(d.selector) | cpl });

interface InnerStack {
  readonly ss: CachedSegment;
  readonly pointer: number;
}

/** Stack of ring `cpl` in the TSS. */
function innerStack(c: Context, cpl: number, ext: number): InnerStack {
  const place = c.tss.wide ? cpl * 8 + 4 : cpl * 4 + 2;
  if (place + (c.tss.wide ? 5 : 3) > c.tss.limit) fail(TS, index(c.tss.selector) | ext);
  const pointer = c.read(c.tss.base + place, c.tss.wide ? 4 : 2) >>> 0;
  const selector = c.read(c.tss.base + place + (c.tss.wide ? 4 : 2), 2) & 0xffff;
  if (isNull(selector)) fail(TS, ext);
  const ss = descriptor(c, selector, TS, ext);
  if ((selector & 3) !== cpl || dplOf(ss.access) !== cpl || !isWritable(ss.access)) fail(TS, index(selector) | ext);
  if (!isPresent(ss.access)) fail(SS, index(selector) | ext);
  return { ss, pointer };
}

interface Gate {
  readonly code: Descriptor;
  readonly offset: number;
  readonly size: 2 | 4;
  readonly parameters: number;
}

/** A call gate's checks, and what it names; null if `d` is code. */
function openGate(c: Context, d: Descriptor): Gate | null {
  if ((d.access & 0x10) !== 0) return null;
  const type = d.access & 0xf;
  if (type !== 4 && type !== 12) fail(GP, index(d.selector));
  if (dplOf(d.access) < c.cpl || dplOf(d.access) < (d.selector & 3)) fail(GP, index(d.selector));
  if (!isPresent(d.access)) fail(NP, index(d.selector));
  const selector = d.low >>> 16;
  if (isNull(selector)) fail(GP, 0);
  const wide = type === 12;
  const offset = wide ? ((d.high & 0xffff0000) | (d.low & 0xffff)) >>> 0 : d.low & 0xffff;
  return { code: descriptor(c, selector, GP, 0), offset, size: wide ? 4 : 2, parameters: d.high & 0x1f };
}

function checkDirect(c: Context, d: Descriptor): void {
  const dpl = dplOf(d.access);
  const wrong = isConforming(d.access) ? dpl > c.cpl : (d.selector & 3) > c.cpl || dpl !== c.cpl;
  if (!isCode(d.access) || wrong) fail(GP, index(d.selector));
  if (!isPresent(d.access)) fail(NP, index(d.selector));
}

function outcome(action: () => Transfer): Outcome {
  try {
    return { transfer: action() };
  } catch (signal) {
    if (!(signal instanceof Raised)) throw signal;
    return { fault: signal.fault };
  }
}

export function jump(c: Context, selector: number, offset: number): Outcome {
  return outcome(() => {
    if (isNull(selector)) fail(GP, 0);
    const d = descriptor(c, selector, GP, 0);
    const gate = openGate(c, d);
    const code = gate?.code ?? d;
    if (gate === null) checkDirect(c, d);
    else {
      const dpl = dplOf(code.access);
      const wrong = isConforming(code.access) ? dpl > c.cpl : dpl !== c.cpl;
      if (!isCode(code.access) || wrong) fail(GP, index(code.selector));
      if (!isPresent(code.access)) fail(NP, index(code.selector));
    }
    const eip = gate?.offset ?? offset;
    if (!within(code, eip, 1)) fail(GP, 0);
    return transfer(c, { cs: at(code, c.cpl), eip });
  });
}

export function call(c: Context, selector: number, offset: number, operandSize: 2 | 4): Outcome {
  return outcome(() => {
    if (isNull(selector)) fail(GP, 0);
    const d = descriptor(c, selector, GP, 0);
    const gate = openGate(c, d);
    const code = gate?.code ?? d;
    const size = gate?.size ?? operandSize;
    const eip = gate?.offset ?? offset;
    const dpl = dplOf(code.access);
    if (gate === null) checkDirect(c, d);
    else {
      if (!isCode(code.access) || dpl > c.cpl) fail(GP, index(code.selector));
      if (!isPresent(code.access)) fail(NP, index(code.selector));
    }
    if (gate === null || isConforming(code.access) || dpl === c.cpl) {
      requireRoom(c.ss, c.esp, 2, size, 0);
      if (!within(code, eip, 1)) fail(GP, 0);
      const esp = stackPointer(c, c.ss, c.esp - 2 * size);
      return transfer(c, { cs: at(code, c.cpl), eip, esp, pushed: [c.eip, c.cs.selector], size });
    }
    const inner = innerStack(c, dpl, 0);
    const words = 4 + gate.parameters;
    requireRoom(inner.ss, inner.pointer, words, size, index(inner.ss.selector));
    if (!within(code, eip, 1)) fail(GP, 0);
    const parameters: number[] = [];
    for (let i = gate.parameters - 1; i >= 0; i--) parameters.unshift(popped(c, i * size, size));
    return transfer(c, {
      cs: at(code, dpl),
      eip,
      cpl: dpl,
      ss: inner.ss,
      esp: stackPointer(c, inner.ss, inner.pointer - words * size),
      pushed: [c.eip, c.cs.selector, ...parameters, c.esp, c.ss.selector],
      size,
    });
  });
}

/** The code segment that RET and IRET go back to. */
function returnTarget(c: Context, selector: number): Descriptor {
  if (isNull(selector)) fail(GP, 0);
  const d = descriptor(c, selector, GP, 0);
  const rpl = selector & 3;
  const dpl = dplOf(d.access);
  if (!isCode(d.access) || rpl < c.cpl || (isConforming(d.access) ? dpl > rpl : dpl !== rpl)) fail(GP, index(selector));
  if (!isPresent(d.access)) fail(NP, index(selector));
  return d;
}

function returnOutward(
  c: Context,
  code: Descriptor,
  eip: number,
  place: number,
  size: 2 | 4,
  release: number,
): Transfer {
  const cpl = code.selector & 3;
  const pointer = popped(c, place, size);
  const selector = popped(c, place + size, size) & 0xffff;
  if (isNull(selector)) fail(GP, 0);
  const ss = descriptor(c, selector, GP, 0);
  if ((selector & 3) !== cpl || dplOf(ss.access) !== cpl || !isWritable(ss.access)) fail(GP, index(selector));
  if (!isPresent(ss.access)) fail(SS, index(selector));
  if (!within(code, eip, 1)) fail(GP, 0);
  const dropped = c.data.map(
    ({ selector: data, access }) => isNull(data) || (dplOf(access) < cpl && (!isCode(access) || !isConforming(access))),
  );
  return transfer(c, { cs: code, eip, cpl, ss, esp: stackPointer(c, ss, pointer + release), dropped, size });
}

export function farReturn(c: Context, release: number, size: 2 | 4): Outcome {
  return outcome(() => {
    const eip = popped(c, 0, size);
    const selector = popped(c, size, size) & 0xffff;
    const code = returnTarget(c, selector);
    if ((selector & 3) > c.cpl) return returnOutward(c, code, eip, 2 * size + release, size, release);
    if (!within(code, eip, 1)) fail(GP, 0);
    return transfer(c, { cs: code, eip, esp: stackPointer(c, c.ss, c.esp + 2 * size + release), size });
  });
}

/** EFLAGS bits that IRET restores, by who executes it (SDM 2A IRET). */
function restored(c: Context, size: 2 | 4): number {
  const always = 0x4dd5 | (size === 4 ? 0x240000 : 0);
  const interrupt = c.cpl <= ((c.eflags >> 12) & 3) ? IF : 0;
  const privileged = c.cpl === 0 ? 0x3000 | (size === 4 ? 0x180000 : 0) : 0;
  return always | interrupt | privileged;
}

/** IRET with NT clear, to protected mode. */
export function interruptReturn(c: Context, size: 2 | 4): Outcome {
  return outcome(() => {
    const eip = popped(c, 0, size);
    const selector = popped(c, size, size) & 0xffff;
    const image = popped(c, 2 * size, size);
    const mask = restored(c, size);
    const eflags = (c.eflags & ~mask) | (image & mask);
    const code = returnTarget(c, selector);
    if ((selector & 3) > c.cpl) return { ...returnOutward(c, code, eip, 3 * size, size, 0), eflags };
    if (!within(code, eip, 1)) fail(GP, 0);
    return transfer(c, { cs: code, eip, esp: stackPointer(c, c.ss, c.esp + 3 * size), eflags, size });
  });
}

/** INT n, or an external interrupt (`external`): never an error code, never a task gate. */
export function interrupt(c: Context, vector: number, external: boolean): Outcome {
  return outcome(() => {
    const ext = external ? 1 : 0;
    const isVirtual = (c.eflags & VM) !== 0;
    // INT n in virtual-8086 mode without VME is IOPL-sensitive.
    if (isVirtual && !external && (c.eflags & 0x3000) !== 0x3000) fail(GP, 0);
    const gateError = (vector << 3) | 2 | ext;
    if (vector * 8 + 7 > c.idtLimit) fail(GP, gateError);
    const low = c.read(c.idt + vector * 8, 4) >>> 0;
    const high = c.read(c.idt + vector * 8 + 4, 4) >>> 0;
    const access = (high >>> 8) & 0xff;
    const type = access & 0x1f;
    if (![6, 7, 14, 15].includes(type)) fail(GP, gateError);
    if (!external && dplOf(access) < c.cpl) fail(GP, gateError);
    if (!isPresent(access)) fail(NP, gateError);
    const size = type >= 14 ? 4 : 2;
    const eip = size === 4 ? ((high & 0xffff0000) | (low & 0xffff)) >>> 0 : low & 0xffff;
    const selector = low >>> 16;
    if (isNull(selector)) fail(GP, ext);
    const code = descriptor(c, selector, GP, ext);
    const dpl = dplOf(code.access);
    const error = index(selector) | ext;
    if (!isCode(code.access) || dpl > c.cpl) fail(GP, error);
    if (!isPresent(code.access)) fail(NP, error);
    const cleared = 0x34100 | ((type & 1) === 0 ? IF : 0);
    const eflags = c.eflags & ~cleared;
    const frame = [c.eip, c.cs.selector, c.eflags];
    if (!isConforming(code.access) && dpl < c.cpl) {
      if (isVirtual && dpl !== 0) fail(GP, error);
      const inner = innerStack(c, dpl, ext);
      const [es, ds, fs, gs] = c.data.map((segment) => segment.selector);
      const pushed = [...frame, c.esp, c.ss.selector, ...(isVirtual ? [es!, ds!, fs!, gs!] : [])];
      requireRoom(inner.ss, inner.pointer, pushed.length, size, index(inner.ss.selector) | ext);
      if (!within(code, eip, 1)) fail(GP, ext);
      return transfer(c, {
        cs: at(code, dpl),
        eip,
        cpl: dpl,
        ss: inner.ss,
        esp: stackPointer(c, inner.ss, inner.pointer - pushed.length * size),
        pushed,
        size,
        eflags,
        ...(isVirtual ? { dropped: [true, true, true, true] } : {}),
      });
    }
    if (isVirtual) fail(GP, error);
    requireRoom(c.ss, c.esp, 3, size, ext);
    if (!within(code, eip, 1)) fail(GP, ext);
    const esp = stackPointer(c, c.ss, c.esp - 3 * size);
    return transfer(c, { cs: at(code, c.cpl), eip, esp, pushed: frame, size, eflags });
  });
}
