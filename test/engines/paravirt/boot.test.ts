import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { DEFAULT_PROFILE } from '../../../src/cost/profiles/index.ts';
import { definition, type ParavirtEngine } from '../../../src/engines/paravirt/definition.ts';
import { BASE, CODE, Domain, KERNEL_BYTES, NOTE, note, STANDARD_NOTES, xenImage } from './domain.ts';

const IMAGES = fileURLToPath(new URL('../../../workloads/images/', import.meta.url));

function boot(
  image: Uint8Array,
  commandLine = '',
  variation: readonly string[] = [],
  ramBytes = 64 << 20,
): ParavirtEngine {
  return definition.create({ profile: DEFAULT_PROFILE, variation, ramBytes, image, commandLine }) as ParavirtEngine;
}

describe('domain builder', () => {
  it('[pv:boot-layout] lays kernel, frame list, start_info, rings, tables and stack in order, with room after them', () => {
    const domain = new Domain();
    const info = CODE + KERNEL_BYTES + 8192;
    expect(domain.S[12]! >>> 0).toBe(info);
    const tables = info + 3 * 4096;
    expect(domain.startInfo(60)).toBe(tables);
    expect(domain.startInfo(64)).toBe(4);
    expect(domain.S[8]! >>> 0).toBe(tables + 5 * 4096);
    expect(domain.startInfo(68)).toBe(CODE + KERNEL_BYTES);
    const { mmu } = domain.xen.cpu;
    expect(mmu.probe(BASE + (4 << 20) - 4, true, false)).toBeGreaterThan(0);
    expect(mmu.probe(BASE + (4 << 20), false, false)).toBe(-1);
    for (let page = 0; page < 4; page++) expect(mmu.probe(tables + 4096 * page, true, false)).toBe(-1);
  });

  it('[pv:start-info] [pv:arch-shared] [pv:vcpu-info] fills start_info and the shared page', () => {
    const domain = new Domain();
    expect(domain.startInfo(0)).toBe(0x2d6e6578);
    expect(domain.startInfo(32)).toBe(2048);
    expect(domain.startInfo(36)).toBe(domain.xen.shared);
    expect(domain.startInfo(80)).toBe(0x20656e6f);
    expect([domain.startInfo(48), domain.startInfo(56)]).toEqual([1, 2]);
    expect(domain.mask).toBe(true);
    expect(domain.shared(2048 + 256 + 12)).toBe(2048);
    // Every frame of the list is the domain's, none where the guest would guess.
    const frames = Array.from({ length: 2048 }, (_, pfn) => domain.frame(pfn));
    expect(new Set(frames).size).toBe(2048);
    expect(frames.every((frame, pfn) => frame !== pfn && domain.xen.pages.owned(frame))).toBe(true);
  });

  it('[pv:wallclock] starts the wall clock at a fixed date', () => {
    const domain = new Domain();
    expect([domain.shared(2304) & 1, domain.shared(2308), domain.shared(2312)]).toEqual([0, 946684800, 0]);
  });

  it('[pv:elf-notes] says in a sentence why a kernel cannot be booted', () => {
    const refused = (notes: readonly number[], words: string): void => {
      expect(() => boot(xenImage([0xeb, 0xfe], notes))).toThrow(words);
    };
    refused([], "no ELF notes of owner 'Xen'");
    refused([...STANDARD_NOTES, ...note(NOTE.pae, 'no')], "PAE_MODE note is 'no'");
    refused([...STANDARD_NOTES, ...note(NOTE.loader, 'grub')], "asks for the loader 'grub'");
    refused(
      [...STANDARD_NOTES, ...note(NOTE.features, 'x|!auto_translated_physmap')],
      "demands the feature 'auto_translated_physmap'",
    );
    refused([...STANDARD_NOTES, ...note(NOTE.p2m, 0x1000)], 'INIT_P2M');
    refused([...STANDARD_NOTES, ...note(NOTE.virtualBase, 0x80000000)], 'must lie in the fourth GB');
    expect(() => boot(xenImage([]), '', [], 2 << 20)).toThrow('need 4 MB of RAM; the domain has 2 MB');
    expect(() => boot(xenImage([]), 'x'.repeat(2000))).toThrow('The command line has 2000 characters');
  });
});

describe('the guest kernel', () => {
  const image = new Uint8Array(readFileSync(`${IMAGES}xen.elf`));
  const known = JSON.parse(readFileSync(`${IMAGES}checksums.json`, 'utf8')).quick as Record<
    string,
    { checksum?: string }
  >;

  /** Runs to the end; returns checksums by workload. */
  function complete(engine: ParavirtEngine): Map<string, string> {
    let stop = engine.run(Infinity);
    while (stop.kind === 'marker') stop = engine.run(Infinity);
    expect(stop).toEqual({ kind: 'exit', status: 0 });
    const lines = engine.machine.consoleText().matchAll(/^(\S+) ops=\d+ checksum=([0-9a-f]{8})/gm);
    return new Map(Array.from(lines, ([, id, checksum]) => [id as string, checksum as string]));
  }

  /** Native has no hypercalls, so it has no checksum of them. */
  function expectNative(checksums: ReadonlyMap<string, string>): void {
    for (const [id, checksum] of checksums) {
      if (id !== 'nano/hypercall') expect([id, checksum]).toEqual([id, known[id]?.checksum]);
    }
  }

  it('[pv:native-iret] [pv:counters] gives native’s checksum of every workload, with nothing retired at ring 0', () => {
    const engine = boot(image, 'run=all quick');
    const checksums = complete(engine);
    expect(checksums.size).toBeGreaterThan(20);
    expectNative(checksums);
    expect(engine.machine.memory.time[8]).toBe(0);
    expect(engine.counters()).toMatchObject({ 'emulated in': expect.any(Number), upcall: expect.any(Number) });
  });

  for (const id of ['nano/iret', 'nano/ptemod', 'nano/segload', 'nano/cr3']) {
    it(`[pv:native-iret] gives native’s checksum of ${id} in all its ways`, () => {
      expectNative(complete(boot(image, `run=${id} quick choices`)));
    });
  }

  it('[pv:batching] gives the same checksums without batching, in more entries', () => {
    const line = 'run=nano/ptemod quick via=mmu_update batch=64';
    const [batched, single] = [[], ['nobatch']].map((variation) => boot(image, line, variation));
    expect(complete(single!)).toEqual(complete(batched!));
    const entries = (engine: ParavirtEngine): number => engine.counters()['hypercall mmu_update'] as number;
    expect(entries(single!)).toBeGreaterThan(entries(batched!) + 1500);
  });

  it('goes the same way from a restored snapshot, twice', () => {
    const engine = boot(image, 'run=nano/timer-irq quick');
    engine.run(Infinity);
    const snapshot = engine.snapshot();
    const ends = [0, 1].map(() => {
      engine.restore(snapshot);
      complete(engine);
      return [
        engine.machine.hash(),
        engine.machine.memory.time[0],
        engine.counters(),
        Array.from(engine.ledger.counts),
      ];
    });
    expect(ends[1]).toEqual(ends[0]);
  });
});
