/**
 * String instructions. A repeated one runs at most CHUNK elements at a time; its registers are then exact, the block
 * ends, events are looked at, and the instruction starts again (SDM 2B REP). It retires once, when its count is used up.
 *
 * MOVS and STOS that go upwards within a page that is mapped and plain go by the page's run instead of by the element.
 */
import { DF, ZF } from '../../isa/eflags.ts';
import type { Cpu } from '../cpu.ts';
import { arithmeticFlags } from '../flags.ts';
import { R_AUX, R_BASE, R_INDEX, R_SCALE, R_TABLE } from '../interpreter/record.ts';
import { TABLE_ENTRIES } from '../memory.ts';
import {
  BASE,
  CYCLES,
  EAX,
  ECX,
  EDI,
  EDX,
  EFLAGS_SYSTEM,
  ESI,
  FLAG_R,
  FLAG_X,
  FLAG_XOR,
  FLAG_Y,
  segmentSlot,
} from '../state.ts';
import { IO_IN, IO_REPEAT, IO_STRING } from '../vmx-hooks.ts';

/** Elements between two event checks. */
const CHUNK = 128;

export function stringProcedures(cpu: Cpu, code: Int32Array) {
  const { state: S, time: T, fast: F, bytes } = cpu.memory;

  function load(linear: number, size: number, table: number): number {
    return size === 4
      ? cpu.mmu.load32(linear, table)
      : size === 2
        ? cpu.mmu.load16(linear, table)
        : cpu.mmu.load8(linear, table);
  }
  function store(linear: number, size: number, value: number, table: number): void {
    if (size === 4) cpu.mmu.store32(linear, value, table);
    else if (size === 2) cpu.mmu.store16(linear, value, table);
    else cpu.mmu.store8(linear, value, table);
  }
  function signed(value: number, size: number): number {
    return size === 4 ? value : size === 2 ? (value << 16) >> 16 : (value << 24) >> 24;
  }
  /** Address of the source or destination element: checked where the segment is not flat. */
  function source(p: number, offset: number, size: number): number {
    const segment = code[p + R_BASE] as number;
    return segment < 0 ? offset : cpu.segmentation.linear(segment, offset, size, false);
  }
  function destination(p: number, offset: number, size: number, write: boolean): number {
    const segment = code[p + R_INDEX] as number;
    return segment < 0 ? offset : cpu.segmentation.linear(segment, offset, size, write);
  }
  /** `segment`: -1 if flat. */
  function unchecked(segment: number, offset: number): number {
    return segment < 0 ? offset : ((S[segmentSlot(segment) + BASE] as number) + offset) | 0;
  }
  /** The index registers are cut to the address size; the rest of the register stays. */
  function advance(register: number, by: number, mask: number): void {
    const value = S[register] as number;
    S[register] = (value & ~mask) | ((value + by) & mask);
  }
  function charge(p: number, elements: number): void {
    T[CYCLES] = (T[CYCLES] as number) + elements * (code[p + R_SCALE] as number);
  }
  function compare(a: number, b: number, size: number): void {
    S[FLAG_R] = signed((a - b) | 0, size);
    S[FLAG_X] = a;
    S[FLAG_Y] = ~b;
    S[FLAG_XOR] = 17;
  }
  /** One element of each instruction. */
  function element(name: string, p: number, size: number, mask: number, step: number): void {
    const from = code[p + R_TABLE] as number;
    const to = (code[p + R_AUX] as number) >> 3;
    const si = (S[ESI] as number) & mask;
    const di = (S[EDI] as number) & mask;
    switch (name) {
      case 'movs': {
        const value = load(source(p, si, size), size, from);
        store(destination(p, di, size, true), size, value, to);
        advance(ESI, step, mask);
        advance(EDI, step, mask);
        break;
      }
      case 'stos':
        store(destination(p, di, size, true), size, S[EAX] as number, to);
        advance(EDI, step, mask);
        break;
      case 'lods': {
        const value = load(source(p, si, size), size, from);
        const keep = size === 4 ? 0 : size === 2 ? ~0xffff : ~0xff;
        S[EAX] = ((S[EAX] as number) & keep) | (value & ~keep);
        advance(ESI, step, mask);
        break;
      }
      case 'scas': {
        const value = signed(load(destination(p, di, size, false), size, to), size);
        compare(signed(S[EAX] as number, size), value, size);
        advance(EDI, step, mask);
        break;
      }
      default: {
        const a = signed(load(source(p, si, size), size, from), size);
        const b = signed(load(destination(p, di, size, false), size, to), size);
        compare(a, b, size);
        advance(ESI, step, mask);
        advance(EDI, step, mask);
      }
    }
  }
  /** Elements that MOVS or STOS can do as one run: flat, upwards, in one mapped plain page each; 0 if not so. */
  function runLength(name: string, p: number, size: number, wanted: number): number {
    if ((code[p + R_INDEX] as number) >= 0) return 0;
    const di = S[EDI] as number;
    const entry = F[((code[p + R_AUX] as number) >> 3) + TABLE_ENTRIES + (di >>> 12)] as number;
    if ((entry & 0xfff) !== 0) return 0;
    let run = Math.min(wanted, Math.floor((4096 - (di & 0xfff)) / size));
    const host = (di + entry) | 0;
    if (name === 'movs') {
      if ((code[p + R_BASE] as number) >= 0) return 0;
      const si = S[ESI] as number;
      const fromEntry = F[(code[p + R_TABLE] as number) + (si >>> 12)] as number;
      if ((fromEntry & 0xfff) !== 0) return 0;
      run = Math.min(run, Math.floor((4096 - (si & 0xfff)) / size));
      if (run < 4) return 0;
      const hostFrom = (si + fromEntry) | 0;
      // An upward overlapping copy repeats its pattern; copyWithin would not.
      if (hostFrom < host && host < hostFrom + run * size) return 0;
      bytes.copyWithin(host, hostFrom, hostFrom + run * size);
      S[ESI] = (si + run * size) | 0;
    } else {
      if (run < 4) return 0;
      const value = S[EAX] as number;
      if (size === 1) bytes.fill(value, host, host + run);
      else {
        for (let at = host; at < host + run * size; at += size) {
          if (size === 4) cpu.memory.view.setInt32(at, value, true);
          else cpu.memory.view.setInt16(at, value, true);
        }
      }
    }
    S[EDI] = (di + run * size) | 0;
    return run;
  }
  /** Runs the instruction; true if a repetition is not finished. */
  function repeat(name: string, p: number, size: number, addressSize: number, prefix: number): boolean {
    const mask = addressSize === 4 ? -1 : 0xffff;
    const step = ((S[EFLAGS_SYSTEM] as number) & DF) !== 0 ? -size : size;
    if (prefix === 0) {
      element(name, p, size, mask, step);
      charge(p, 1);
      return false;
    }
    const compares = name === 'cmps' || name === 'scas';
    const bulk = (name === 'movs' || name === 'stos') && step > 0 && addressSize === 4;
    let left = CHUNK;
    while (left > 0) {
      const count = ((S[ECX] as number) & mask) >>> 0;
      if (count === 0) return false;
      const run = bulk ? runLength(name, p, size, Math.min(count, left)) : 0;
      if (run > 0) {
        advance(ECX, -run, mask);
        charge(p, run);
        left -= run;
        continue;
      }
      element(name, p, size, mask, step);
      advance(ECX, -1, mask);
      charge(p, 1);
      left -= 1;
      if (compares && ((arithmeticFlags(S) & ZF) !== 0) !== (prefix === 0xf3)) return false;
    }
    return ((S[ECX] as number) & mask) !== 0;
  }
  /** INS / OUTS: one element at a time, since each touches a port. */
  function io(name: 'ins' | 'outs', p: number, size: number, addressSize: number, prefix: number): boolean {
    const mask = addressSize === 4 ? -1 : 0xffff;
    if (prefix !== 0 && ((S[ECX] as number) & mask) === 0) return false;
    const step = ((S[EFLAGS_SYSTEM] as number) & DF) !== 0 ? -size : size;
    const port = (S[EDX] as number) & 0xffff;
    const flags = prefix === 0 ? IO_STRING : IO_STRING | IO_REPEAT;
    if (name === 'ins') {
      const di = (S[EDI] as number) & mask;
      const table = (code[p + R_AUX] as number) >> 3;
      cpu.system.requirePort(port, size, flags | IO_IN, unchecked(code[p + R_INDEX] as number, di));
      const linear = destination(p, di, size, true);
      // The store must not fault once the port has been read.
      if (size === 4) cpu.mmu.loadForUpdate32(linear, table);
      else if (size === 2) cpu.mmu.loadForUpdate16(linear, table);
      else cpu.mmu.loadForUpdate8(linear, table);
      store(linear, size, cpu.system.portIn(port, size, flags, linear), table);
      advance(EDI, step, mask);
    } else {
      const si = (S[ESI] as number) & mask;
      cpu.system.requirePort(port, size, flags, unchecked(code[p + R_BASE] as number, si));
      const linear = source(p, si, size);
      cpu.system.portOut(port, load(linear, size, code[p + R_TABLE] as number), size, flags, linear);
      advance(ESI, step, mask);
    }
    charge(p, 1);
    if (prefix === 0) return false;
    advance(ECX, -1, mask);
    return ((S[ECX] as number) & mask) !== 0;
  }

  const operation =
    (name: string) =>
    (p: number, size: number, addressSize: number, prefix: number): boolean =>
      repeat(name, p, size, addressSize, prefix);
  return {
    movs: operation('movs'),
    cmps: operation('cmps'),
    stos: operation('stos'),
    lods: operation('lods'),
    scas: operation('scas'),
    ins: (p: number, size: number, addressSize: number, prefix: number): boolean =>
      io('ins', p, size, addressSize, prefix),
    outs: (p: number, size: number, addressSize: number, prefix: number): boolean =>
      io('outs', p, size, addressSize, prefix),
  };
}
