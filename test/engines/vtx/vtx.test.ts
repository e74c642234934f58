/** The vtx engine on the guest image: every variation gives native's answers, exits for its own reasons, and restores. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CYCLES, EVENT_CYCLES_TOTAL, INSTRUCTION_CYCLES, RETIRED, RETIRED_CLASSES } from '../../../src/core/state.ts';
import { eventNumber } from '../../../src/cost/event.ts';
import type { Profile } from '../../../src/cost/profile.ts';
import { PROFILES } from '../../../src/cost/profiles/index.ts';
import { NEHALEM } from '../../../src/cost/profiles/nehalem.ts';
import { PENTIUM4_672 } from '../../../src/cost/profiles/pentium4-672.ts';
import { SANDY_BRIDGE } from '../../../src/cost/profiles/sandy-bridge.ts';
import type { Engine, EngineDefinition } from '../../../src/engines/engine.ts';
import { definition as native } from '../../../src/engines/native/native.ts';
import { definition as vtx } from '../../../src/engines/vtx/definition.ts';
import { GUESTS, tinyImage } from '../../support/tiny-image.ts';

const IMAGE = new Uint8Array(readFileSync(new URL('../../../workloads/images/native.elf', import.meta.url)));
const LIMIT = 1e11;

function boot(
  definition: EngineDefinition,
  profile: Profile,
  variation: readonly string[] = [],
): { engine: Engine; mailbox: number } {
  const engine = definition.create({ profile, variation, ramBytes: 16 << 20, image: IMAGE, commandLine: '' });
  const stop = engine.run(LIMIT);
  if (stop.kind !== 'marker' || stop.code !== 1) throw new Error(`no ready marker: ${JSON.stringify(stop)}`);
  return { engine, mailbox: engine.translate(stop.payload[0])! };
}

interface Outcome {
  readonly checksum: number;
  readonly console: string;
  readonly user: number;
  readonly counters: Readonly<Record<string, number>>;
}

/** One workload from the ready marker on: checksum, console and user instructions of its measured region. */
function run({ engine, mailbox }: { engine: Engine; mailbox: number }, request: string): Outcome {
  const { memory } = engine.machine;
  memory.writeBytes(mailbox as never, new TextEncoder().encode(`${request}\0`));
  let start = 0;
  let before: Readonly<Record<string, number>> = {};
  for (;;) {
    const stop = engine.run(LIMIT);
    if (stop.kind !== 'marker') throw new Error(`${request}: ${JSON.stringify(stop)}`);
    if (stop.payload[0] !== 0) continue;
    if (stop.code === 2) {
      start = memory.time[RETIRED + 3]!;
      before = engine.counters();
    }
    if (stop.code !== 3) continue;
    const after = engine.counters();
    const counters = Object.fromEntries(
      Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)]),
    );
    return {
      checksum: stop.payload[2] >>> 0,
      console: engine.machine.consoleText(),
      user: memory.time[RETIRED + 3]! - start,
      counters,
    };
  }
}

/** Every cycle has a cause. */
function expectBalanced(engine: Engine): void {
  const { time } = engine.machine.memory;
  engine.ledger.fold();
  let sum = time[EVENT_CYCLES_TOTAL]!;
  for (let i = 0; i < RETIRED_CLASSES; i++) sum += time[INSTRUCTION_CYCLES + i]!;
  expect(sum).toBe(time[CYCLES]);
}

const REQUESTS = [
  'nano/syscall ops=200',
  'nano/in ops=200',
  'nano/cpuid ops=200',
  'nano/divzero ops=100',
  'nano/pgfault ops=200',
  'nano/protfault ops=200',
  'nano/ptemod ops=300',
  'nano/invlpg ops=200',
  'nano/cr3 ops=200',
  'nano/segload ops=200',
  'nano/iret ops=100',
  'nano/pushf-popf ops=500',
  'nano/cli-sti ops=500',
  'nano/sgdt-family ops=200',
  'nano/rdtsc ops=200',
  'nano/timer-irq ops=2',
  'nano/hlt-wake ops=2',
  'macro/compute/sieve ops=1',
];

const CONFIGURATIONS: [string, Profile, string[]][] = [
  ['vtx on sandy-bridge', SANDY_BRIDGE, []],
  ['vtx~noept on sandy-bridge', SANDY_BRIDGE, ['noept']],
  ['vtx~noept~novpid on sandy-bridge', SANDY_BRIDGE, ['noept', 'novpid']],
  ['vtx~novpid on sandy-bridge', SANDY_BRIDGE, ['novpid']],
  ['vtx~userspace-io on nehalem, which has no unrestricted guest', NEHALEM, ['userspace-io']],
  ['vtx on pentium4-672', PENTIUM4_672, []],
];

describe('[vtx:gen1] [vtx:exit-table] [vtx:ept] native’s checksums, consoles and user instruction counts', () => {
  const expected = new Map<string, Map<string, Outcome>>();
  function nativeOutcomes(profile: Profile): Map<string, Outcome> {
    let outcomes = expected.get(profile.name);
    if (outcomes === undefined) {
      outcomes = new Map();
      const booted = boot(native, profile);
      const ready = booted.engine.snapshot();
      for (const request of REQUESTS) {
        booted.engine.restore(ready);
        outcomes.set(request, run(booted, request));
      }
      expected.set(profile.name, outcomes);
    }
    return outcomes;
  }
  test.each(CONFIGURATIONS)('%s', (_name, profile, variation) => {
    const outcomes = nativeOutcomes(profile);
    const booted = boot(vtx, profile, variation);
    const ready = booted.engine.snapshot();
    for (const request of REQUESTS) {
      booted.engine.restore(ready);
      const { checksum, console, user } = run(booted, request);
      const wanted = outcomes.get(request)!;
      expect({ request, checksum, console, user }).toEqual({
        request,
        checksum: wanted.checksum,
        console: wanted.console,
        user: wanted.user,
      });
      expectBalanced(booted.engine);
    }
  });
});

describe('what exits, per operation', () => {
  const second = boot(vtx, SANDY_BRIDGE);
  const first = boot(vtx, SANDY_BRIDGE, ['noept', 'novpid']);
  const snapshots = new Map([second, first].map((booted) => [booted, booted.engine.snapshot()]));
  function exits(booted: typeof first, request: string): Readonly<Record<string, number>> {
    booted.engine.restore(snapshots.get(booted)!);
    return run(booted, `${request} ops=100`).counters;
  }
  test('[vtx:counters] CPUID, IN and VMCALL exit once', () => {
    expect(exits(second, 'nano/cpuid')['exit cpuid']).toBe(100);
    expect(exits(second, 'nano/in')['exit port']).toBe(100);
    expect(exits(second, 'nano/hypercall')['exit vmcall']).toBe(100);
  });
  test('system calls, divide errors, CLI and STI do not', () => {
    for (const name of ['nano/syscall', 'nano/divzero', 'nano/cli-sti', 'nano/pushf-popf']) {
      for (const booted of [first, second]) {
        const total = Object.entries(exits(booted, name))
          .filter(([key]) => key.startsWith('exit '))
          .reduce((n, [, v]) => n + v, 0);
        expect({ name, isFew: total < 20 }).toEqual({ name, isFew: true });
      }
    }
  });
  test('[vtx:proc2] under EPT page faults, CR3 loads, INVLPG and page-table stores do not', () => {
    for (const name of ['nano/pgfault', 'nano/cr3', 'nano/invlpg', 'nano/ptemod']) {
      const counters = exits(second, name);
      expect({
        name,
        exits:
          (counters['exit exception'] ?? 0) + (counters['exit invlpg'] ?? 0) + (counters['exit control-register'] ?? 0),
      }).toEqual({ name, exits: 0 });
    }
  });
  test('[vtx:gen1] over shadow paging each of them does', () => {
    expect(exits(first, 'nano/pgfault').trueFault).toBe(100);
    expect(exits(first, 'nano/cr3')['exit control-register']).toBeGreaterThanOrEqual(100);
    expect(exits(first, 'nano/invlpg')['exit invlpg']).toBeGreaterThanOrEqual(100);
    const stores = exits(first, 'nano/ptemod');
    expect(stores.tracedStoreFault).toBeGreaterThanOrEqual(100);
    expect(stores['instruction emulated']).toBe(stores.tracedStoreFault);
  });
  test('[vtx:hlt] [vtx:interrupt-window] a halted guest is woken by its timer', () => {
    second.engine.restore(snapshots.get(second)!);
    const { counters } = run(second, 'nano/hlt-wake ops=8');
    expect(counters['exit hlt']).toBeGreaterThanOrEqual(8);
    expect(counters['interrupt injected']).toBeGreaterThanOrEqual(8);
  });
});

describe('[vtx:idt-vectoring] an event whose frame takes a hidden fault is injected again', () => {
  const word = (value: number): number[] => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
  const store = (address: number, value: number): number[] => [0xc7, 0x05, ...word(address), ...word(value)];
  const START = 0x100060;
  /** Sets up a GDT and an IDT, moves the stack to a page never touched, executes `trap`; its handler exits with the saved EIP. */
  function guest(trap: readonly number[]): { image: Uint8Array; trapAt: number } {
    const body = (handler: number): number[] => [
      ...store(0x140008, 0x0000ffff),
      ...store(0x14000c, 0x00cf9b00),
      ...store(0x141030, 0x80000 | (handler & 0xffff)),
      ...store(0x141034, (handler & 0xffff0000) | 0x8e00),
      ...store(0x142000, 0x0000000f),
      ...store(0x142004, 0x14),
      ...store(0x142008, 0x100007ff),
      ...store(0x14200c, 0x14),
      ...[0x0f, 0x01, 0x15, ...word(0x142000), 0x0f, 0x01, 0x1d, ...word(0x142008)],
      ...[0xbc, ...word(0x300000)],
    ];
    const trapAt = START + body(0).length;
    const handler = trapAt + trap.length;
    return { image: tinyImage([...body(handler), ...trap, 0x8b, 0x04, 0x24, 0xe7, 0xf4]), trapAt };
  }
  test.each([
    ['an exception', [0x0f, 0x0b], 0],
    ['a software interrupt', [0xcd, 0x06], 2],
  ] as const)('%s', (_name, trap, advance) => {
    const { image, trapAt } = guest(trap);
    for (const [variation, reinjected] of [
      [[], 0],
      [['noept'], 1],
      [['noept', 'novpid'], 1],
    ] as const) {
      const engine = vtx.create({ profile: SANDY_BRIDGE, variation, ramBytes: 4 << 20, commandLine: '', image });
      expect(engine.run(1e6)).toEqual({ kind: 'exit', status: trapAt + advance });
      expect(engine.counters()).toMatchObject({ 'event reinjected': reinjected, 'exception injected': 0 });
    }
  });
});

test('[vtx:userspace-io] device exits pay the way to the user half and back', () => {
  const transition = eventNumber('hostUserTransition');
  const counts = [[], ['userspace-io']].map((variation) => {
    const booted = boot(vtx, SANDY_BRIDGE, variation);
    const before = booted.engine.ledger.counts[transition]!;
    run(booted, 'nano/in ops=100');
    return booted.engine.ledger.counts[transition]! - before;
  });
  expect(counts[0]).toBe(0);
  expect(counts[1]).toBeGreaterThanOrEqual(100);
  // One charge is the whole way: it cannot be less than the SYSEXIT and the SYSENTER in it.
  for (const { events, instructions } of PROFILES) {
    const both = instructions.sysenter.cycles + instructions.sysexit.cycles;
    expect(events.hostUserTransition!.cycles).toBeGreaterThanOrEqual(both);
  }
});

test('[vtx:userspace-io] a string output exits and pays as IN does', () => {
  const transition = eventNumber('hostUserTransition');
  const image = tinyImage([
    // mov esi, 0x100000; mov dx, 0x80; outsb; outsb; out dx, al; then the exit by debug-exit
    ...[0xbe, 0, 0, 0x10, 0, 0x66, 0xba, 0x80, 0, 0x6e, 0x6e, 0xee, 0x66, 0xba, 0xf4, 0, 0xef],
  ]);
  for (const [variation, expected] of [
    [[], 0],
    [['userspace-io'], 4],
  ] as const) {
    const engine = vtx.create({ profile: SANDY_BRIDGE, variation, ramBytes: 4 << 20, commandLine: '', image });
    expect(engine.run(1e6).kind).toBe('exit');
    expect(engine.ledger.counts[transition]).toBe(expected);
  }
});

test('[vtx:aliases] a variation that takes away what the processor lacks changes nothing', () => {
  const plain = boot(vtx, PENTIUM4_672);
  const named = boot(vtx, PENTIUM4_672, ['noept', 'novpid']);
  expect(named.engine.machine.memory.time[CYCLES]).toBe(plain.engine.machine.memory.time[CYCLES]);
  expect(named.engine.counters()).toEqual(plain.engine.counters());
});

describe('snapshots', () => {
  test.each([[[]], [['noept']], [['noept', 'novpid']]])(
    'vtx %j: restoring twice gives identical ledgers',
    (variation) => {
      const booted = boot(vtx, SANDY_BRIDGE, variation);
      const ready = booted.engine.snapshot();
      const results = [1, 2].map(() => {
        booted.engine.restore(ready);
        run(booted, 'nano/ptemod ops=200');
        booted.engine.ledger.fold();
        return {
          ledger: [...booted.engine.ledger.counts],
          hash: booted.engine.machine.hash(),
          counters: booted.engine.counters(),
        };
      });
      expect(results[1]).toEqual(results[0]);
    },
  );
  test('a snapshot between exits, at an arbitrary limit, goes on the same way', () => {
    const whole = boot(vtx, SANDY_BRIDGE, ['noept']);
    const ready = whole.engine.snapshot();
    run(whole, 'nano/pgfault ops=300');
    const wanted = whole.engine.machine.memory.time[CYCLES];
    whole.engine.restore(ready);
    whole.engine.machine.memory.writeBytes(whole.mailbox as never, new TextEncoder().encode('nano/pgfault ops=300\0'));
    const { time } = whole.engine.machine.memory;
    for (;;) {
      const stop = whole.engine.run((time[CYCLES] as number) + 400_000);
      if (stop.kind === 'limit') whole.engine.restore(whole.engine.snapshot());
      else if (stop.kind === 'marker' && stop.code === 3 && stop.payload[0] === 0) break;
      else if (stop.kind !== 'marker') throw new Error(JSON.stringify(stop));
    }
    expect(time[CYCLES]).toBe(wanted);
  });
});

describe('[vtx:triple] how a guest can end', () => {
  test.each(['', 'noept'])('vtx %s', (variation) => {
    const end = (code: readonly number[]): string => {
      const options = {
        profile: SANDY_BRIDGE,
        variation: variation === '' ? [] : [variation],
        ramBytes: 4 << 20,
        commandLine: '',
      };
      const engine = vtx.create({ ...options, image: tinyImage(code) });
      let stop = engine.run(1e6);
      while (stop.kind === 'marker') stop = engine.run(1e6);
      return stop.kind;
    };
    expect(end(GUESTS.tripleFaults)).toBe('crash');
    expect(end(GUESTS.hangs)).toBe('hang');
    expect(end(GUESTS.endless)).toBe('limit');
    expect(end(GUESTS.exitsWithStatus)).toBe('exit');
    expect(end([0xfb, 0xf4])).toBe('hang');
  });
});

test.each([[SANDY_BRIDGE], [NEHALEM], [PENTIUM4_672]])(
  '[vtx:exit-table] debug and control registers survive exits (%#)',
  (profile) => {
    // mov eax, 0x10401; mov dr7, eax; mov esi, cr0; xor eax, eax; cpuid
    const code = [
      ...[0xb8, 0x01, 0x04, 0x01, 0x00, 0x0f, 0x23, 0xf8, 0x0f, 0x20, 0xc6, 0x31, 0xc0, 0x0f, 0xa2],
      // mov eax, dr7; mov ecx, cr0; sub ecx, esi; add eax, ecx; out 0xf4, eax
      ...[0x0f, 0x21, 0xf8, 0x0f, 0x20, 0xc1, 0x29, 0xf1, 0x01, 0xc8, 0xe7, 0xf4],
    ];
    const engine = vtx.create({ profile, variation: [], ramBytes: 4 << 20, commandLine: '', image: tinyImage(code) });
    expect(engine.run(1e6)).toEqual({ kind: 'exit', status: 0x10401 });
  },
);

describe('[vtx:emulator] accesses outside RAM', () => {
  test.each(['', 'noept'])('vtx %s: a load reads all ones, a jump finds no code', (variation) => {
    const options = {
      profile: SANDY_BRIDGE,
      variation: variation === '' ? [] : [variation],
      ramBytes: 4 << 20,
      commandLine: '',
    };
    // mov eax, [0xfed00000]; mov [0xfed00000], eax; out 0xf4, eax
    const engine = vtx.create({
      ...options,
      image: tinyImage([0xa1, 0, 0, 0xd0, 0xfe, 0xa3, 0, 0, 0xd0, 0xfe, 0xe7, 0xf4]),
    });
    const stop = engine.run(1e6);
    expect(stop).toMatchObject({ kind: 'exit' });
    expect((stop as { status: number }).status >>> 0).toBe(0xffffffff);
    // mov eax, 0xfed00000; jmp eax
    const jump = vtx.create({ ...options, image: tinyImage([0xb8, 0, 0, 0xd0, 0xfe, 0xff, 0xe0]) });
    expect(jump.run(1e6).kind).toBe('crash');
  });
});
