import { describe, expect, it } from 'vitest';
import { EIP, ESP } from '../../../src/core/state.ts';
import { CODE, DATA, Domain, STACK_TOP } from './domain.ts';

const KERNEL_CS = 0xe019;
const CALLBACK = CODE + 0x900;
const PENDING = 2048;
const MASK = 2048 + 128;
const SELECTOR_WORD = 4;

/** A domain with an event callback (marker 4) and an IPI port. */
function withPort(): { domain: Domain; port: number } {
  const domain = new Domain();
  domain.call(4, KERNEL_CS, CALLBACK, KERNEL_CS, CALLBACK);
  domain.write(CALLBACK, 0x04801f0f, 0x90545600);
  domain.write(DATA, 0, 0);
  expect(domain.call(32, 7, DATA)).toBe(0);
  domain.S[ESP] = STACK_TOP;
  return { domain, port: domain.read(DATA + 4) };
}

function send(domain: Domain, port: number): number {
  domain.write(DATA, port);
  return domain.call(32, 4, DATA);
}

describe('event channels', () => {
  it('[pv:delivery-rule] delivers what is pending, unmasked, selected, and not held by the upcall mask', () => {
    const { domain, port } = withPort();
    domain.mask = true;
    const eip = domain.S[EIP];
    expect(send(domain, port)).toBe(0);
    expect(domain.shared(PENDING) & (1 << port)).not.toBe(0);
    expect(domain.shared(SELECTOR_WORD)).toBe(1);
    expect(domain.shared(0) & 0xff).toBe(1);
    expect(domain.S[EIP]).toBe(eip);
    // Unmasked: the next way out of the hypervisor is the upcall, which masks again.
    domain.mask = false;
    domain.call(17, 0);
    expect((domain.S[EIP] as number) >>> 0).toBe(CALLBACK);
    expect(domain.mask).toBe(true);
    expect(domain.engine.counters()).toMatchObject({ upcall: 1 });
  });

  it('[pv:mask-byte] leaves a change of the mask byte to the guest: only a hypercall looks', () => {
    const { domain, port } = withPort();
    domain.mask = true;
    send(domain, port);
    domain.mask = false;
    expect(domain.run(10_000)).toMatchObject({ kind: 'limit' });
    domain.call(17, 0);
    expect(domain.run(10_000)).toMatchObject({ kind: 'marker', code: 4 });
  });

  it('[pv:edge-lost] loses the edge of a masked port until the guest unmasks it', () => {
    const { domain, port } = withPort();
    domain.mask = true;
    domain.setShared(MASK, 1 << port);
    send(domain, port);
    expect(domain.shared(PENDING) & (1 << port)).not.toBe(0);
    expect(domain.shared(SELECTOR_WORD)).toBe(0);
    domain.setShared(MASK, 0);
    send(domain, port);
    expect(domain.shared(SELECTOR_WORD)).toBe(0);
    domain.write(DATA, port);
    expect(domain.call(32, 9, DATA)).toBe(0);
    expect(domain.shared(SELECTOR_WORD)).toBe(1);
  });

  it('[pv:channels] [pv:evtchn-ops] binds, reports, closes and refuses as the ABI says', () => {
    const domain = new Domain();
    const operation = (command: number, ...words: number[]): number => {
      domain.write(DATA, ...words);
      return domain.call(32, command, DATA);
    };
    expect(operation(1, 0, 0)).toBe(0);
    const port = domain.read(DATA + 8);
    expect(operation(1, 0, 0)).toBe(-17);
    expect(operation(1, 99, 0)).toBe(-22);
    expect(operation(1, 1, 3)).toBe(-2);
    expect(operation(5, 0x7ff0, port)).toBe(0);
    expect([domain.read(DATA + 8), domain.read(DATA + 16)]).toEqual([4, 0]);
    expect(operation(4, port)).toBe(-22);
    expect(operation(3, port)).toBe(0);
    expect(operation(3, port)).toBe(-22);
    expect(operation(4, 5000)).toBe(-22);
    expect(operation(6, 0x7ff0)).toBe(0);
    expect(operation(0, 1, 1)).toBe(-3);
    expect(operation(2, 1, 0)).toBe(-1);
    expect(operation(11)).toBe(-38);
    expect(domain.call(32, 1, 0xf6000000)).toBe(-14);
  });

  it('[pv:virqs] binds the timer, debug and console VIRQs, each once, and frees them by close', () => {
    const domain = new Domain();
    const operation = (command: number, ...words: number[]): number => {
      domain.write(DATA, ...words);
      return domain.call(32, command, DATA);
    };
    const ports = [0, 1, 2].map((virq) => {
      expect(operation(1, virq, 0)).toBe(0);
      return domain.read(DATA + 8);
    });
    for (const [virq, port] of ports.entries()) {
      expect(operation(1, virq, 0)).toBe(-17);
      expect(operation(5, 0x7ff0, port)).toBe(0);
      expect([domain.read(DATA + 8), domain.read(DATA + 16)]).toEqual([4, virq]);
    }
    expect(operation(3, ports[1]!)).toBe(0);
    expect(operation(1, 1, 0)).toBe(0);
    expect(domain.read(DATA + 8)).toBe(ports[1]);
  });

  it('[pv:channels] has 1023 ports to give', () => {
    const domain = new Domain();
    domain.write(DATA, 0);
    let given = 0;
    while (domain.call(32, 7, DATA) === 0) given++;
    // Two are the store's and the console's.
    expect(given).toBe(1021);
    expect(domain.call(32, 7, DATA)).toBe(-28);
  });

  it('[pv:virqs] [pv:set-timer] [pv:sched-op] wakes a blocked guest at the timer’s time', () => {
    const domain = new Domain();
    domain.call(4, KERNEL_CS, CALLBACK, KERNEL_CS, CALLBACK);
    domain.write(CALLBACK, 0x04801f0f, 0x90545600);
    domain.S[ESP] = STACK_TOP;
    domain.call(24, 7, 0, 0);
    domain.write(DATA, 0, 0);
    domain.call(32, 1, DATA);
    const due = domain.xen.clock.now + 1_000_000;
    expect(domain.call(15, due, 0)).toBe(0);
    expect(domain.call(29, 1, 0)).toBe(0);
    expect(domain.xen.waiting).toBe(true);
    expect(domain.mask).toBe(false);
    expect(domain.run(100_000_000)).toMatchObject({ kind: 'marker', code: 4 });
    expect(domain.xen.clock.now).toBeGreaterThanOrEqual(due);
    expect(domain.xen.clock.now).toBeLessThan(due + 10_000);
    expect(domain.mask).toBe(true);
  });

  it('[pv:sched-op] says of a guest that waits for nothing that it hangs, and ends with the shutdown’s reason', () => {
    const domain = new Domain();
    domain.call(24, 7, 0, 0);
    domain.call(29, 1, 0);
    expect(domain.run(100_000_000)).toMatchObject({ kind: 'hang' });
    const over = new Domain();
    over.write(DATA, 0);
    over.call(29, 2, DATA);
    expect(over.run()).toEqual({ kind: 'exit', status: 0 });
    expect(over.call(29, 77, 0)).toBe(-38);
  });

  it('[pv:sched-op] polls a port until its time is over', () => {
    const domain = new Domain();
    domain.call(24, 7, 0, 0);
    const limit = domain.xen.clock.now + 50_000;
    domain.mask = true;
    domain.write(DATA + 64, 5);
    domain.write(DATA, DATA + 64, 1, limit, 0);
    expect(domain.call(29, 3, DATA)).toBe(0);
    expect(domain.xen.waiting).toBe(true);
    domain.run(1_000_000);
    expect(domain.xen.waiting).toBe(false);
    expect(domain.xen.clock.now).toBeGreaterThanOrEqual(limit);
  });

  it('[pv:vcpu-op] refuses a single shot that is past, counts run states, knows one vcpu', () => {
    const domain = new Domain();
    domain.run(100_000);
    domain.write(DATA, 1, 0, 1);
    expect(domain.call(24, 8, 0, DATA)).toBe(-62);
    expect(domain.call(24, 3, 0, 0)).toBe(1);
    expect(domain.call(24, 3, 1, 0)).toBe(-2);
    expect(domain.call(24, 4, 0, DATA)).toBe(0);
    expect(domain.read(DATA + 12)).toBeGreaterThan(0);
  });

  it('[pv:vcpu-op] a periodic timer goes off every period until it is stopped', () => {
    const domain = new Domain();
    const expired = (): number => domain.engine.counters()['timer expired'] ?? 0;
    domain.write(DATA, 500_000, 0);
    expect(domain.call(24, 6, 0, DATA)).toBe(-22);
    domain.write(DATA, 2_000_000, 0);
    expect(domain.call(24, 6, 0, DATA)).toBe(0);
    const start = domain.xen.clock.now;
    while (domain.xen.clock.now < start + 21_000_000) domain.run(1_000_000);
    expect(expired()).toBe(10);
    expect(domain.call(24, 7, 0, 0)).toBe(0);
    while (domain.xen.clock.now < start + 31_000_000) domain.run(1_000_000);
    expect(expired()).toBe(10);
  });

  it('[pv:time-info] converts the TSC to system time by the published scale', () => {
    const domain = new Domain();
    const [multiplier, shift] = [domain.shared(56), (domain.shared(60) << 24) >> 24];
    const hertz = (1e9 * 2 ** 32) / multiplier / 2 ** shift;
    expect(hertz / domain.xen.cpu.profile.frequencyHz).toBeCloseTo(1, 6);
    expect(domain.shared(32) & 1).toBe(0);
  });
});
