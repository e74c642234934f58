/** Every engine on the real guest: a snapshot is the whole state, and the same work costs the same again. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RETIRED } from '../../src/core/state.ts';
import { PROFILES } from '../../src/cost/profiles/index.ts';
import type { Engine } from '../../src/engines/engine.ts';
import { ENGINES } from '../../src/engines/registry.ts';
import { type BootedEngine, boot, measure } from '../../src/suite/cell.ts';

const LIMIT = 1e10;
const WORKLOADS = ['nano/pgfault ops=50', 'nano/ptemod ops=50', 'nano/timer-irq ops=3', 'macro/compute/sort ops=1'];
const FIRST_GENERATION = PROFILES[0]!;

function bootEngine(name: string): BootedEngine {
  const [family, ...variation] = name.split('~');
  const definition = ENGINES.find((engine) => engine.name === family)!;
  const image = readFileSync(new URL(`../../workloads/images/${definition.kernel}.elf`, import.meta.url));
  const engine = definition.create({
    profile: name.includes('ept') ? FIRST_GENERATION : PROFILES[3]!,
    variation,
    ramBytes: 64 << 20,
    image,
    commandLine: '',
  });
  const booted = boot(engine, LIMIT);
  if (!('snapshot' in booted)) throw new Error(booted.why);
  return booted;
}
function retired({ machine }: Engine): number[] {
  return [...machine.memory.time.slice(RETIRED, RETIRED + 5)];
}

describe.each([...ENGINES.map(({ name }) => name), 'vtx~noept~novpid'])('%s', (name) => {
  const booted = bootEngine(name);
  const { engine } = booted;

  it('boots to the same state on another machine', () => {
    expect(bootEngine(name).engine.machine.hash()).toBe(engine.machine.hash());
  });

  it.each(WORKLOADS)('%s comes out the same after each restore', (mailbox) => {
    const runs = [0, 1].map(() => [measure(booted, mailbox, LIMIT), engine.machine.hash()]);
    expect(runs[0]).toMatchObject([{ status: 'ok' }, expect.any(String)]);
    expect(runs[1]).toEqual(runs[0]);
  });

  it('runs guest code only where its technique says', () => {
    // The last class is ring 1 inside the translation cache.
    const [ring0, ring1, ring2, ring3, cache] = retired(engine) as [number, number, number, number, number];
    expect(ring2).toBe(0);
    expect(ring3).toBeGreaterThan(0);
    const kernel = { native: ring0, vtx: ring0, paravirt: ring1, 'ring-compression': cache };
    const family = name.split('~')[0] as keyof typeof kernel;
    expect(kernel[family]).toBeGreaterThan(0);
    expect(ring0 + ring1 + cache).toBe(kernel[family]);
  });
});
