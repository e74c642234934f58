/**
 * A ring-1 kernel returns by unmasking events and then IRET. An event that comes in between finds registers of the
 * interrupted program and a frame that is about to be used: the kernel takes it as if it had come after the IRET. Chance
 * hits that window rarely, so here an event is put into it.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CYCLES, EIP, HOST_INTR } from '../../src/core/state.ts';
import { DEFAULT_PROFILE } from '../../src/cost/profiles/index.ts';
import { definition as paravirt } from '../../src/engines/paravirt/definition.ts';
import { EVTCHN_PENDING, PENDING_SEL, UPCALL_PENDING } from '../../src/engines/paravirt/shared-info.ts';

const image = readFileSync('workloads/images/xen.elf');
const COMMAND = 'image run=macro/ticking ops=300 hz=1000';
/** Every so many passes of the window: taking an event passes it once more. */
const EVERY = 3;

/** A symbol's value from the ELF file's symbol table. */
function symbol(name: string): number {
  const sections = image.readUInt32LE(32);
  for (let index = 0; index < image.readUInt16LE(48); index++) {
    const header = sections + index * image.readUInt16LE(46);
    if (image.readUInt32LE(header + 4) !== 2) continue;
    const [start, size] = [image.readUInt32LE(header + 16), image.readUInt32LE(header + 20)];
    const strings = image.readUInt32LE(sections + image.readUInt32LE(header + 24) * image.readUInt16LE(46) + 16);
    for (let at = start; at < start + size; at += 16) {
      const text = strings + image.readUInt32LE(at);
      if (image.toString('latin1', text, image.indexOf(0, text)) === name) return image.readUInt32LE(at + 4);
    }
  }
  throw new Error(`The image has no symbol ${name}.`);
}

function run(inject: boolean): { console: string; passes: number; upcalls: number } {
  const engine = paravirt.create({
    profile: DEFAULT_PROFILE,
    variation: [],
    ramBytes: 64 << 20,
    image,
    commandLine: COMMAND,
  });
  const { memory } = engine.machine;
  const window = [symbol('critical_start'), symbol('critical_end')] as const;
  let passes = 0;
  for (;;) {
    const stop = engine.run((memory.time[CYCLES] as number) + 1);
    if (stop.kind === 'exit') break;
    if (stop.kind !== 'limit' && stop.kind !== 'marker') throw new Error(JSON.stringify(stop));
    const at = (memory.state[EIP] as number) >>> 0;
    if (at < window[0] || at >= window[1] || !inject || passes++ % EVERY !== 0) continue;
    // What the hypervisor does when the timer's port becomes pending, and the physical interrupt that it came with.
    const shared = engine.translate(symbol('shared_info')) as number;
    memory.ram[shared + EVTCHN_PENDING] |= 2;
    memory.ram[shared + PENDING_SEL] |= 1;
    memory.ram[shared + UPCALL_PENDING] = 1;
    memory.state[HOST_INTR] = 1;
    engine.machine.cpu.attention();
  }
  return { console: engine.machine.consoleText(), passes, upcalls: engine.counters().upcall ?? 0 };
}

test('an event between unmasking and IRET is taken and changes nothing', () => {
  const quiet = run(false);
  const injected = run(true);
  expect(injected.console).toBe(quiet.console);
  expect(injected.passes).toBeGreaterThan(300);
  expect(injected.upcalls).toBeGreaterThanOrEqual(injected.passes / EVERY);
});
