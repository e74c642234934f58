import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { DEFAULT_PROFILE } from '../../../src/cost/profiles/index.ts';
import { ParavirtEngine } from '../../../src/engines/paravirt/definition.ts';

const IMAGE = fileURLToPath(new URL('../../../workloads/images/isolation-xen.elf', import.meta.url));

/** Everything that a kernel in ring 1 gets of what it tries; every other attempt must end in a fault or an error number. */
const HARMLESS = [
  'kernel read f5800000: readable',
  'map the L1 table read-only: accepted',
  'read the L1 table there: readable',
  'store to the L1 table, emulated: done',
  'set_gdt with a read-only table: accepted',
  'a code segment of ring 0: accepted',
  'set_gdt without frames: accepted',
  'kernel wrmsr of SYSENTER_EIP: done',
  // Their selectors' privilege was raised to 1; the addresses lie beyond every guest segment.
  'stack_switch to a ring-0 stack segment: accepted',
  "stack_switch into the hypervisor's range: accepted",
  'a trap handler in ring 0: accepted',
  "a trap handler in the hypervisor's range: accepted",
  'callbacks in ring 0: accepted',
];

function attempt(commandLine: string): { stop: unknown; engine: ParavirtEngine } {
  const image = new Uint8Array(readFileSync(IMAGE));
  const engine = new ParavirtEngine({
    profile: DEFAULT_PROFILE,
    variation: [],
    ramBytes: 64 << 20,
    image,
    commandLine,
  });
  let stop = engine.run(Infinity);
  while (stop.kind === 'marker') stop = engine.run(Infinity);
  return { stop, engine };
}

describe('isolation', () => {
  it('[pv:hole] [pv:ring1] [pv:descriptor-checks] lets a hostile kernel have nothing of the hypervisor', () => {
    const { stop, engine } = attempt('run=all');
    expect(stop).toEqual({ kind: 'exit', status: 0 });
    const lines = engine.machine.consoleText().split('\n');
    expect(lines.filter((line) => /: (returned|loaded|readable|done|accepted)$/.test(line))).toEqual(HARMLESS);
    expect(lines.filter((line) => /: (vector|errno) /.test(line)).length).toBeGreaterThan(150);
    expect(lines).toContain('is stored with privilege: 1');
    expect(lines).toContain('and with limit: f67ff');
    expect(engine.machine.memory.time[8]).toBe(0);
  });

  it('[pv:iret] [pv:failsafe] sends a kernel that forges a ring-0 frame to its failsafe callback', () => {
    const { stop, engine } = attempt('run=isolation/ring-0-frame really=yes');
    expect(stop).toMatchObject({ kind: 'crash' });
    expect(engine.machine.consoleText()).toContain('failsafe callback');
    expect(engine.machine.memory.time[8]).toBe(0);
  });
});
