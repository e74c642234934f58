/** Small guests run under two engines, and what can be seen of them afterwards. */

import { EAX, REG_STRIDE, RETIRED } from '../../../src/core/state.ts';
import { DEFAULT_PROFILE } from '../../../src/cost/profiles/index.ts';
import type { Engine, GuestStop } from '../../../src/engines/engine.ts';
import { definition as native } from '../../../src/engines/native/native.ts';
import { definition } from '../../../src/engines/ring-compression/definition.ts';
import type { RingCompressionEngine } from '../../../src/engines/ring-compression/engine.ts';
import { Assembler } from '../../../src/isa/assemble.ts';
import { ARITHMETIC, DF } from '../../../src/isa/eflags.ts';
import { tinyImage } from '../../support/tiny-image.ts';

/** Address of the first byte of a tiny image's code. */
export const CODE_AT = 0x100000 + 52 + 32 + 12;
export const STACK_AT = 0x200000;
export const DATA_AT = 0x240000;
const RAM = 4 << 20;
const LIMIT = 1e8;

export const END_MARKER = [0x0f, 0x1f, 0x80, 0x04, 0x00, 0x56, 0x54] as const;

/** A program that sets its stack, runs `body` and ends at a marker. */
export function program(body: (a: Assembler) => void): Uint8Array {
  const a = new Assembler(CODE_AT);
  a.bytes(0xbc).value(STACK_AT, 4);
  body(a);
  a.bytes(...END_MARKER);
  // What follows the end: data of tests, or an endless loop.
  a.bytes(0xeb, 0xfe);
  return tinyImage([...a.finish()]);
}

export function options(image: Uint8Array, variation: readonly string[] = []) {
  return { profile: DEFAULT_PROFILE, variation, ramBytes: RAM, image, commandLine: '' };
}

export function ring(image: Uint8Array, ...variation: string[]): RingCompressionEngine {
  return definition.create(options(image, variation)) as RingCompressionEngine;
}

export function runToEnd(engine: Engine): GuestStop {
  return engine.run(LIMIT);
}

export interface Outcome {
  readonly stop: GuestStop;
  readonly registers: readonly number[];
  readonly flags: number;
  readonly data: string;
}

function outcome(engine: Engine, stop: GuestStop, dataBytes: number): Outcome {
  const { state } = engine.machine.memory;
  const registers = Array.from({ length: 8 }, (_, number) => state[EAX + REG_STRIDE * number] as number);
  const data: number[] = [];
  for (const [base, count] of [
    [DATA_AT, dataBytes],
    [STACK_AT - 256, 256],
  ] as const) {
    for (let i = 0; i < count; i++) data.push(engine.machine.memory.read8(engine.translate(base + i)!));
  }
  return { stop, registers, flags: engine.machine.cpu.eflags() & (ARITHMETIC | DF), data: data.join() };
}

/** Runs an image natively and under ring compression. */
export function both(
  image: Uint8Array,
  dataBytes = 256,
  ...variation: string[]
): readonly [Outcome, Outcome, RingCompressionEngine] {
  const plain = native.create(options(image));
  const expected = outcome(plain, runToEnd(plain), dataBytes);
  const engine = ring(image, ...variation);
  const actual = outcome(engine, runToEnd(engine), dataBytes);
  return [expected, actual, engine];
}

/** Instructions retired at CPL 0, and at CPL 1 outside the cache. */
export function strays(engine: Engine): readonly [number, number] {
  engine.ledger.fold();
  const { time } = engine.machine.memory;
  return [time[RETIRED] as number, time[RETIRED + 1] as number];
}
