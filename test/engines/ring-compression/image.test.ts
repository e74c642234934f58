/** The guest kernel of the suite: boots, runs workloads and gives native's checksums. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CYCLES, RETIRED } from '../../../src/core/state.ts';
import { DEFAULT_PROFILE } from '../../../src/cost/profiles/index.ts';
import type { Engine, EngineDefinition } from '../../../src/engines/engine.ts';
import { definition as native } from '../../../src/engines/native/native.ts';
import { definition } from '../../../src/engines/ring-compression/definition.ts';
import { strays } from './guest.ts';

const image = readFileSync(new URL('../../../workloads/images/native.elf', import.meta.url));
const READY = 1;
const END = 3;

function boot(engine: EngineDefinition, variation: readonly string[] = []): readonly [Engine, number] {
  const booted = engine.create({ profile: DEFAULT_PROFILE, variation, ramBytes: 16 << 20, image, commandLine: '' });
  const stop = booted.run(1e9);
  if (stop.kind !== 'marker' || stop.code !== READY)
    throw new Error(`Expected the ready marker, got ${JSON.stringify(stop)}.`);
  return [booted, stop.payload[0]];
}

interface Run {
  readonly ends: readonly string[];
  readonly user: number;
  readonly console: string;
  readonly cycles: number;
}

function runWorkload(engine: Engine, mailbox: number, workload: string): Run {
  const text = `${workload}\0`;
  for (let i = 0; i < text.length; i++) {
    engine.machine.memory.write8(engine.translate((mailbox + i) >>> 0)!, text.charCodeAt(i));
  }
  const ends: string[] = [];
  for (;;) {
    const stop = engine.run(3e9);
    if (stop.kind === 'marker') {
      if (stop.code === END) ends.push(stop.payload.join());
      continue;
    }
    engine.ledger.fold();
    const { time } = engine.machine.memory;
    expect(stop).toEqual({ kind: 'exit', status: expect.anything() });
    return {
      ends,
      user: time[RETIRED + 3] as number,
      console: engine.machine.consoleText(),
      cycles: time[CYCLES] as number,
    };
  }
}

const WORKLOADS = [
  'nano/syscall ops=50',
  'nano/divzero ops=50',
  'nano/pgfault ops=64',
  'nano/protfault ops=64',
  'nano/ptemod ops=100',
  'nano/cr3 ops=50',
  'nano/iret ops=50',
  'nano/segload ops=100',
  'nano/sgdt-family ops=100',
  'nano/callret ops=500',
  'nano/pushf-popf ops=500',
  'nano/in ops=50',
  'nano/timer-irq ops=2',
  'nano/hlt-wake ops=1',
];

describe('the guest kernel', () => {
  const [plain, mailbox] = boot(native);
  const plainReady = plain.snapshot();

  for (const variation of [[], ['nochain'], ['noadapt']]) {
    it(`[rc:direct-execution] gives native's checksums ${variation.join()}`, () => {
      const [engine, box] = boot(definition, variation);
      expect(box).toBe(mailbox);
      const ready = engine.snapshot();
      for (const workload of variation.length === 0 ? WORKLOADS : WORKLOADS.slice(0, 6)) {
        plain.restore(plainReady);
        engine.restore(ready);
        const expected = runWorkload(plain, mailbox, workload);
        const actual = runWorkload(engine, box, workload);
        expect([workload, actual.ends, actual.user]).toEqual([workload, expected.ends, expected.user]);
        expect(strays(engine)).toEqual([0, 0]);
      }
    });
  }

  it('[rc:counters] runs from one snapshot to one ledger', () => {
    const [engine, box] = boot(definition);
    const ready = engine.snapshot();
    const runs = [0, 1].map(() => {
      engine.restore(ready);
      runWorkload(engine, box, 'nano/pgfault ops=64');
      return [engine.machine.hash(), JSON.stringify(engine.counters()), [...engine.ledger.counts].join()];
    });
    expect(runs[1]).toEqual(runs[0]);
  });
});

describe('the isolation image', () => {
  it('[rc:placement] [rc:code-reach] [rc:wrap] [rc:truncation-gp] [rc:traces] ends every attempt as natively', () => {
    const isolation = readFileSync(new URL('../../../workloads/images/isolation-native.elf', import.meta.url));
    const consoles = [native, definition].map((engine) => {
      const guest = engine.create({
        profile: DEFAULT_PROFILE,
        variation: [],
        ramBytes: 16 << 20,
        image: isolation,
        commandLine: 'run=all',
      });
      let stop = guest.run(3e9);
      while (stop.kind === 'marker') stop = guest.run(3e9);
      expect(stop.kind).toBe('exit');
      if (engine === definition) expect(strays(guest)).toEqual([0, 0]);
      return guest.machine.consoleText();
    });
    expect(consoles[1]).toBe(consoles[0]);
  });
});
