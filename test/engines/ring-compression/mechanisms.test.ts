/** Each mechanism of the engine, seen in its counters and in the guest's state. */
import { describe, expect, it } from 'vitest';
import { eventNumber } from '../../../src/cost/event.ts';
import { PENTIUM4_672 } from '../../../src/cost/profiles/pentium4-672.ts';
import { definition } from '../../../src/engines/ring-compression/definition.ts';
import { register32 } from '../../../src/isa/operands.ts';
import { both, CODE_AT, DATA_AT, options, program, ring, runToEnd, strays } from './guest.ts';
import { enterUser, gate, loadTables, put } from './small-kernel.ts';

const COUNTER_AT = 0x250000;

/** A loop of `times` rounds. */
function loop(times: number, body: number[]): Uint8Array {
  return program((a) => {
    a.emit('mov', register32(3), DATA_AT).emit('mov', register32(7), times);
    const top = a.bind();
    a.bytes(...body);
    a.emit('dec', register32(7)).jcc(5, top);
  });
}

describe('direct branches', () => {
  it('[rc:chaining] a loop leaves the cache only until its exits are chained', () => {
    const [expected, actual, engine] = both(loop(1000, [0x40]));
    expect(actual).toEqual(expected);
    expect(engine.counters().calloutContinue).toBeLessThan(10);
    expect(engine.counters().chained).toBeGreaterThan(0);
  });

  it('[rc:chaining] without chaining every exit is a callout', () => {
    const [expected, actual, engine] = both(loop(1000, [0x40]), 256, 'nochain');
    expect(actual).toEqual(expected);
    expect(engine.counters().calloutContinue).toBeGreaterThan(990);
    expect(engine.counters().chained).toBe(0);
  });

  it('[rc:straightening] the first path taken follows without a jump', () => {
    const engine = ring(
      program((a) => {
        for (let i = 0; i < 40; i++) a.bytes(0x40);
        const over = a.label();
        a.bytes(0x31, 0xc0).jcc(4, over);
        a.bytes(0x43);
        a.bind(over);
      }),
    );
    runToEnd(engine);
    expect(engine.counters().elided).toBeGreaterThanOrEqual(4);
    expect(engine.counters().inverted).toBe(1);
  });
});

describe('indirect branches', () => {
  it('[rc:indirect] returns find their target in the cache after the first miss', () => {
    const image = program((a) => {
      a.emit('mov', register32(7), 500);
      const top = a.bind();
      const callee = a.label();
      a.call(callee);
      a.emit('dec', register32(7)).jcc(5, top);
      const end = a.label();
      a.jmp(end);
      a.bind(callee);
      a.bytes(0x40, 0xc3);
      a.bind(end);
    });
    const [expected, actual, engine] = both(image);
    expect(actual).toEqual(expected);
    expect(engine.counters().indirectMiss).toBe(1);
  });

  it('[rc:guest-return-addresses] a call pushes the address that the guest knows', () => {
    const image = program((a) => {
      a.bytes(0xe8, 0, 0, 0, 0, 0x58);
    });
    const [expected, actual] = both(image);
    expect(actual).toEqual(expected);
    expect(actual.registers[0]).toBe(CODE_AT + 10);
  });

  it('[rc:guest-return-addresses] an overwritten one is where the return goes', () => {
    const image = program((a) => {
      const over = a.label();
      const end = a.label();
      a.jmp(over);
      const elsewhere = a.bind();
      a.bytes(0xbf, 7, 0, 0, 0).jmp(end);
      const callee = a.bind();
      a.bytes(0xc7, 0x04, 0x24).value(elsewhere.address, 4).bytes(0xc3);
      a.bind(over);
      a.call(callee);
      a.bytes(0xbf, 9, 0, 0, 0);
      a.bind(end);
    });
    const [expected, actual] = both(image);
    expect(actual).toEqual(expected);
    expect(actual.registers[7]).toBe(7);
  });
});

describe('self-modifying code', () => {
  it('[rc:smc] a store into translated code takes effect at the next instruction', () => {
    const image = program((a) => {
      a.emit('mov', register32(7), 5).emit('mov', register32(1), 0);
      const top = a.bind();
      const site = a.address + 6;
      // inc byte [site + 1]; mov eax, 1 (patched); add ecx, eax
      a.bytes(0xfe, 0x05).value(site + 1, 4);
      a.bytes(0xb8, 1, 0, 0, 0, 0x01, 0xc1);
      a.emit('dec', register32(7)).jcc(5, top);
    });
    const [expected, actual, engine] = both(image);
    expect(actual).toEqual(expected);
    expect(actual.registers[1]).toBe(2 + 3 + 4 + 5 + 6);
    expect(engine.counters().smcInvalidation).toBeGreaterThan(0);
  });
});

describe('what a page holds', () => {
  it('[rc:page-invalidation] a store takes the units of its page with it, and no others', () => {
    let near = 0;
    let far = 0;
    const engine = ring(
      program((a) => {
        const start = a.label();
        a.jmp(start);
        near = a.bind().address;
        a.bytes(0x40, 0xc3);
        const spare = a.address;
        a.bytes(0x90, 0x90);
        a.bytes(...new Array<number>(4096).fill(0x90));
        far = a.bind().address;
        a.bytes(0x41, 0xc3);
        a.bytes(...new Array<number>(4096).fill(0x90));
        a.bind(start);
        for (const target of [near, far]) a.bytes(0xb8).value(target, 4).bytes(0xff, 0xd0);
        a.bytes(0xc6, 0x05).value(spare, 4).bytes(0x91, 0x90);
      }),
    );
    runToEnd(engine);
    expect(engine.counters().smcInvalidation).toBe(1);
    expect(engine.monitor.cache.find(near)).toBe(-1);
    expect(engine.monitor.cache.find(far)).toBeGreaterThan(0);
  });
});

describe('adaptive retranslation', () => {
  /** Stores next to its own code, but not into it. */
  const image = program((a) => {
    a.emit('mov', register32(7), 50);
    const top = a.bind();
    a.bytes(0x89, 0x3d).value(CODE_AT + 0x800, 4);
    a.emit('dec', register32(7)).jcc(5, top);
  });

  it('[rc:adapt] a store that keeps hitting a trace becomes a callout', () => {
    const [expected, actual, engine] = both(image);
    expect(actual).toEqual(expected);
    expect(engine.counters().adaptationUp).toBeGreaterThan(0);
    expect(engine.counters().tracedStoreFault).toBeLessThan(20);
  });

  it('[rc:adapt] switched off, every such store faults', () => {
    const [expected, actual, engine] = both(image, 256, 'noadapt');
    expect(actual).toEqual(expected);
    expect(engine.counters().adaptationUp).toBe(0);
    expect(engine.counters().tracedStoreFault).toBeGreaterThan(45);
  });
});

describe('exceptions', () => {
  it('[rc:back-map] a divide error shows the guest address of its instruction', () => {
    const image = program((a) => {
      const start = a.label();
      a.jmp(start);
      const handler = a.bind();
      // Divide error: pop eip into esi, push esi + 2.
      a.bytes(0x5e, 0x46, 0x46, 0x56, 0xcf);
      a.bind(start);
      loadTables(a);
      gate(a, 0, handler);
      a.bytes(0x31, 0xc9, 0xba, 7, 0, 0, 0, 0xf7, 0xf1);
      a.bytes(0xb9, 1, 0, 0, 0);
    });
    const [expected, actual, engine] = both(image);
    expect(actual).toEqual(expected);
    expect(expected.stop.kind).toBe('marker');
    expect(engine.counters().reflected).toBe(1);
  });

  it('[rc:gates] INT n in the kernel goes through the guest IDT with the guest frame', () => {
    const image = program((a) => {
      const start = a.label();
      a.jmp(start);
      const handler = a.bind();
      a.bytes(0x8b, 0x0c, 0x24, 0x8b, 0x54, 0x24, 0x04, 0x8b, 0x74, 0x24, 0x08, 0xcf);
      a.bind(start);
      loadTables(a);
      gate(a, 0x40, handler);
      a.bytes(0xfb, 0xcd, 0x40, 0xfa);
    });
    const [expected, actual] = both(image);
    expect(actual).toEqual(expected);
    expect(actual.registers[2]).toBe(0x08);
  });
});

describe('user mode', () => {
  it('[rc:direct-execution] ring 3 runs directly and reaches the kernel by INT and by faults', () => {
    const image = program((a) => {
      const start = a.label();
      const end = a.label();
      a.jmp(start);
      const call = a.bind();
      // ESI counts calls; the third leaves for the end.
      a.bytes(0x46, 0x83, 0xfe, 3).jcc(4, end);
      a.bytes(0xcf);
      const user = a.bind();
      const again = a.bind();
      a.bytes(0x47, 0xcd, 0x80).jmp(again);
      a.bind(start);
      loadTables(a);
      gate(a, 0x80, call, 3);
      put(a, DATA_AT, 0);
      a.bytes(0x31, 0xf6, 0x31, 0xff);
      enterUser(a, user, DATA_AT + 128);
      a.bind(end);
    });
    const [expected, actual, engine] = both(image);
    expect(actual).toEqual(expected);
    expect(actual.registers[7]).toBe(3);
    expect(engine.counters().enterDirect).toBe(3);
    expect(strays(engine)).toEqual([0, 0]);
  });

  it("[rc:privileged] CLI, HLT, IN and a bad selector are the guest kernel's #GP", () => {
    const image = program((a) => {
      const start = a.label();
      const end = a.label();
      a.jmp(start);
      const fault = a.bind();
      // Records the error code, skips one byte, counts to 4.
      a.bytes(0x58, 0x01, 0xc7, 0xff, 0x04, 0x24, 0x46, 0x83, 0xfe, 4).jcc(4, end);
      a.bytes(0xcf);
      const user = a.bind();
      a.bytes(0xfa, 0xf4, 0xec, 0x6a, 0x08, 0x1f);
      a.bind(start);
      loadTables(a);
      gate(a, 13, fault);
      a.bytes(0x31, 0xf6, 0x31, 0xff);
      enterUser(a, user, DATA_AT + 128);
      a.bind(end);
    });
    const [expected, actual] = both(image);
    expect(actual).toEqual(expected);
    expect(actual.registers[7]).toBe(8);
  });
});

describe('interrupts', () => {
  /** Timer interrupts, a few thousand cycles apart, over a loop of sequences of every kind. */
  const image = program((a) => {
    const start = a.label();
    a.jmp(start);
    const handler = a.bind();
    a.bytes(0x50, 0xff, 0x05).value(COUNTER_AT, 4).bytes(0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf);
    const callee = a.bind();
    a.bytes(0x43, 0xc3);
    a.bind(start);
    loadTables(a);
    gate(a, 0x20, handler);
    for (const [port, value] of [
      [0x20, 0x11],
      [0x21, 0x20],
      [0x21, 4],
      [0x21, 1],
      [0x21, 0xfe],
      [0x43, 0x34],
      [0x40, 4],
      [0x40, 0],
    ]) {
      a.bytes(0xb0, value as number, 0xe6, port as number);
    }
    a.bytes(0x31, 0xdb, 0x31, 0xd2, 0xb9).value(0x1234567, 4).bytes(0xb8).value(0x89abcde, 4);
    a.bytes(0xfb).emit('mov', register32(7), 3000);
    const top = a.bind();
    a.bytes(0x01, 0xc2, 0x9c, 0xd1, 0xd2, 0x9d);
    a.call(callee);
    a.bytes(0xbe).value(callee.address, 4).bytes(0xff, 0xd6);
    a.bytes(0xfa, 0x13, 0xd1, 0xfb, 0x9c, 0xfa, 0x03, 0xd3, 0x9d, 0x90);
    a.emit('dec', register32(7)).jcc(5, top);
    a.bytes(0xfa);
  });

  for (const variation of [[], ['nochain']]) {
    it(`[rc:interrupt-boundary] [rc:enable-checks] leave no trace in the interrupted code ${variation.join()}`, () => {
      const [expected, actual, engine] = both(image, 256, ...variation);
      expect(actual.registers).toEqual(expected.registers);
      expect(actual.flags).toBe(expected.flags);
      expect(actual.stop.kind).toBe('marker');
      expect(engine.counters().deliveredInterrupt).toBeGreaterThan(20);
      expect(engine.counters().heldInterrupt).toBeGreaterThan(0);
      if (variation.length === 0) expect(engine.counters().settled).toBeGreaterThan(0);
    });
  }

  it('[rc:sti-shadow] STI; HLT does not lose the interrupt that waits', () => {
    const [expected, actual] = both(
      program((a) => {
        const start = a.label();
        a.jmp(start);
        const handler = a.bind();
        a.bytes(0x8b, 0x0c, 0x24, 0xb0, 0x20, 0xe6, 0x20, 0xcf);
        a.bind(start);
        loadTables(a);
        gate(a, 0x20, handler);
        for (const [port, value] of [
          [0x20, 0x11],
          [0x21, 0x20],
          [0x21, 4],
          [0x21, 1],
          [0x21, 0xfe],
          [0x43, 0x30],
          [0x40, 4],
          [0x40, 0],
        ]) {
          a.bytes(0xb0, value as number, 0xe6, port as number);
        }
        // Long enough for the timer to fire with interrupts off; it does not fire again.
        a.bytes(0xb9).value(20000, 4).bytes(0xe2, 0xfe, 0xfb, 0xf4);
      }),
    );
    expect(actual).toEqual(expected);
    expect(actual.stop.kind).toBe('marker');
  });
});

describe('snapshot', () => {
  it('[rc:counters] restored twice, it runs to the same ledger', () => {
    const image = loop(50, [0x9c, 0x9d, 0xfb, 0x89, 0x3d, ...[0, 8, 0x10, 0]]);
    const engine = ring(image);
    engine.run(30_000);
    const snapshot = engine.snapshot();
    const runs = [0, 1].map(() => {
      engine.restore(snapshot);
      runToEnd(engine);
      return [engine.machine.hash(), JSON.stringify(engine.counters()), [...engine.ledger.counts].join()];
    });
    expect(runs[1]).toEqual(runs[0]);
  });
});

describe('the cache', () => {
  it('[rc:translate-cost] each translated instruction costs what was published for the Pentium 4', () => {
    const engine = definition.create({ ...options(loop(50, [0x40, 0x9c, 0x9d])), profile: PENTIUM4_672 });
    runToEnd(engine);
    const event = eventNumber('translateInstruction');
    expect(engine.ledger.counts[event]).toBe(engine.counters().translatedInstruction);
    expect(PENTIUM4_672.events.translateInstruction).toMatchObject({ cycles: 2300, source: { kind: 'published' } });
  });

  it('[rc:units] a unit has at most twelve instructions', () => {
    const engine = ring(program((a) => a.bytes(...new Array<number>(120).fill(0x40))));
    runToEnd(engine);
    const { translationUnit = 0, translatedInstruction = 0 } = engine.counters();
    expect(translationUnit).toBeGreaterThanOrEqual(10);
    expect(translatedInstruction / translationUnit).toBeLessThanOrEqual(12);
  });

  it('[rc:cache-flush] a program larger than the cache flushes it and goes on', () => {
    const image = program((a) => a.bytes(...new Array<number>(70_000).fill(0x40)));
    const [expected, actual, engine] = both(image);
    expect(actual).toEqual(expected);
    expect(engine.counters().cacheFlush).toBeGreaterThan(1);
  });

  it('[rc:adapt-revert] an adapted store that hits no trace for long becomes itself again', () => {
    const image = program((a) => {
      a.emit('mov', register32(7), 300)
        .bytes(0xb8)
        .value(CODE_AT + 0x900, 4);
      const top = a.bind();
      a.bytes(0x89, 0x38);
      // After 280 more rounds the store goes to an untraced page.
      a.bytes(0x83, 0xff).bytes(0x7f);
      const stay = a.label();
      a.jcc(15, stay);
      a.bytes(0xb8).value(DATA_AT, 4);
      a.bind(stay);
      a.emit('dec', register32(7)).jcc(5, top);
    });
    const [expected, actual, engine] = both(image);
    expect(actual).toEqual(expected);
    expect(engine.counters().adaptationUp).toBeGreaterThan(0);
    expect(engine.counters().adaptationDown).toBeGreaterThan(0);
  });

  it('[rc:vmm-writes] an exception frame written over translated code invalidates it', () => {
    const image = program((a) => {
      const start = a.label();
      const end = a.label();
      a.jmp(start);
      const handler = a.bind();
      a.bytes(0x46, 0xcf);
      a.bind(start);
      loadTables(a);
      gate(a, 0x40, handler);
      const site = a.label();
      a.bytes(0x31, 0xf6, 0x31, 0xff);
      const again = a.bind();
      a.call(site);
      a.bytes(0x8b, 0xec, 0xbc).value(CODE_AT + 0x800, 4);
      a.bytes(0xcd, 0x40, 0x8b, 0xe5, 0x83, 0xfe, 3).jcc(5, again);
      a.jmp(end);
      a.bind(site);
      a.bytes(0x47, 0xc3);
      a.bind(end);
    });
    const [expected, actual, engine] = both(image);
    expect(actual).toEqual(expected);
    expect(engine.counters().smcInvalidation).toBeGreaterThan(0);
  });
});
