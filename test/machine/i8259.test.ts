/** The interrupt controllers against the 8259A datasheet (Intel 231468). */
import { beforeEach, describe, expect, it } from 'vitest';
import { I8259Pair } from '../../src/machine/i8259.ts';
import { MachinePortBus } from '../../src/machine/port-bus.ts';

let ports: MachinePortBus;
let pic: I8259Pair;
let intr: boolean[];

function out(port: number, ...values: number[]): void {
  for (const value of values) ports.write(port, value, 1);
}

/** The usual initialization of a PC: vectors 0x20 and 0x28, everything unmasked. `icw4` may add modes. */
function initialize(icw4 = 0x01): void {
  out(0x20, 0x11);
  out(0x21, 0x20, 0x04, icw4);
  out(0xa0, 0x11);
  out(0xa1, 0x28, 0x02, 0x01);
  out(0x21, 0x00);
  out(0xa1, 0x00);
}

beforeEach(() => {
  ports = new MachinePortBus();
  intr = [];
  pic = new I8259Pair((level) => intr.push(level));
  pic.attach(ports);
});

describe('initialization', () => {
  it('takes vectors from ICW2 and masks nothing', () => {
    initialize();
    expect(ports.read(0x21, 1)).toBe(0);
    pic.setLine(3, true);
    expect(pic.acknowledge()).toBe(0x23);
  });

  it('skips ICW3 in single mode and ICW4 when ICW1 does not announce it', () => {
    out(0x20, 0x12);
    out(0x21, 0x40, 0xfb);
    expect(ports.read(0x21, 1)).toBe(0xfb);
  });

  it('forgets edges that came before it', () => {
    initialize();
    pic.setLine(3, true);
    initialize();
    expect(pic.output).toBe(false);
    pic.setLine(3, false);
    pic.setLine(3, true);
    expect(pic.output).toBe(true);
  });
});

describe('priorities', () => {
  beforeEach(() => initialize());

  it('answers the lowest input first and holds back equal and lower ones until the end of interrupt', () => {
    pic.setLine(5, true);
    pic.setLine(1, true);
    expect(pic.acknowledge()).toBe(0x21);
    expect(pic.output).toBe(false);
    out(0x20, 0x20);
    expect(pic.acknowledge()).toBe(0x25);
  });

  it('lets a higher input interrupt the service of a lower one', () => {
    pic.setLine(5, true);
    pic.acknowledge();
    pic.setLine(0, true);
    expect(pic.output).toBe(true);
    expect(pic.acknowledge()).toBe(0x20);
    out(0x20, 0x0b);
    expect(ports.read(0x20, 1)).toBe(0x21);
  });

  it('ends the level that a specific end names', () => {
    pic.setLine(5, true);
    pic.acknowledge();
    pic.setLine(1, true);
    pic.acknowledge();
    out(0x20, 0x65, 0x0b);
    expect(ports.read(0x20, 1)).toBe(0x02);
  });

  it('rotates on a rotating end: the level served becomes the lowest', () => {
    pic.setLine(0, true);
    pic.acknowledge();
    out(0x20, 0xa0);
    pic.setLine(0, false);
    pic.setLine(0, true);
    pic.setLine(7, true);
    expect(pic.acknowledge()).toBe(0x27);
  });

  it('sets the lowest priority by command', () => {
    out(0x20, 0xc3);
    pic.setLine(3, true);
    pic.setLine(4, true);
    expect(pic.acknowledge()).toBe(0x24);
  });

  it('does not signal masked inputs but remembers their edges', () => {
    out(0x21, 0x02);
    pic.setLine(1, true);
    expect(pic.output).toBe(false);
    expect(ports.read(0x20, 1)).toBe(0x02);
    out(0x21, 0x00);
    expect(pic.acknowledge()).toBe(0x21);
  });

  it('in special mask mode serves lower levels while a masked one is in service', () => {
    pic.setLine(1, true);
    pic.acknowledge();
    out(0x21, 0x02);
    out(0x20, 0x68);
    pic.setLine(6, true);
    expect(pic.acknowledge()).toBe(0x26);
  });
});

describe('cascade', () => {
  beforeEach(() => initialize());

  it('gives the slave vector and marks both chips in service', () => {
    pic.setLine(12, true);
    expect(pic.acknowledge()).toBe(0x2c);
    out(0x20, 0x0b);
    out(0xa0, 0x0b);
    expect([ports.read(0x20, 1), ports.read(0xa0, 1)]).toEqual([0x04, 0x10]);
  });

  it('serves a second slave input after both ends of interrupt', () => {
    pic.setLine(12, true);
    pic.setLine(14, true);
    pic.acknowledge();
    out(0xa0, 0x20);
    out(0x20, 0x20);
    expect(pic.acknowledge()).toBe(0x2e);
  });

  it('in special fully nested mode lets a higher slave input interrupt a lower one', () => {
    initialize(0x11);
    pic.setLine(12, true);
    pic.acknowledge();
    pic.setLine(9, true);
    expect(pic.output).toBe(true);
    expect(pic.acknowledge()).toBe(0x29);
  });

  it('holds it back otherwise', () => {
    pic.setLine(12, true);
    pic.acknowledge();
    pic.setLine(9, true);
    expect(pic.output).toBe(false);
  });
});

describe('spurious interrupts', () => {
  beforeEach(() => initialize());

  it('answers input 7 with nothing in service when the request went away', () => {
    pic.setLine(4, true);
    pic.setLine(4, false);
    expect(pic.acknowledge()).toBe(0x27);
    out(0x20, 0x0b);
    expect(ports.read(0x20, 1)).toBe(0);
  });

  it('answers input 15, with the cascade in service, when it was the slave that lost its request', () => {
    // The request is withdrawn between the master's and the slave's half of the acknowledge cycle.
    pic.setLine(10, true);
    const slaveRequests = 15 + 2;
    const pair = new I8259Pair(() => {});
    pair.load(pic.save().map((value, at) => (at === slaveRequests ? 0 : value)));
    expect(pair.acknowledge()).toBe(0x2f);
  });
});

describe('modes', () => {
  it('keeps nothing in service under automatic end of interrupt', () => {
    initialize(0x03);
    pic.setLine(5, true);
    pic.acknowledge();
    pic.setLine(6, true);
    expect(pic.acknowledge()).toBe(0x26);
    out(0x20, 0x0b);
    expect(ports.read(0x20, 1)).toBe(0);
  });

  it('signals a level-triggered input again as long as it is high', () => {
    initialize();
    out(0x4d0, 0x20);
    pic.setLine(5, true);
    pic.acknowledge();
    out(0x20, 0x20);
    expect(pic.output).toBe(true);
    pic.acknowledge();
    pic.setLine(5, false);
    out(0x20, 0x20);
    expect(pic.output).toBe(false);
  });

  it('signals an edge-triggered input once', () => {
    initialize();
    pic.setLine(5, true);
    pic.acknowledge();
    out(0x20, 0x20);
    expect(pic.output).toBe(false);
  });

  it('acknowledges by polling', () => {
    initialize();
    pic.setLine(6, true);
    out(0x20, 0x0c);
    expect(ports.read(0x20, 1)).toBe(0x86);
    out(0x20, 0x0c);
    expect(ports.read(0x20, 1)).toBe(0);
    out(0x20, 0x0b);
    expect(ports.read(0x20, 1)).toBe(0x40);
  });
});

it('reports each change of its output once', () => {
  initialize();
  pic.setLine(1, true);
  pic.setLine(3, true);
  pic.acknowledge();
  expect(intr).toEqual([true, false]);
});

it('comes back from saved numbers as it was', () => {
  initialize();
  pic.setLine(5, true);
  pic.acknowledge();
  pic.setLine(9, true);
  const saved = pic.save();
  const copy = new I8259Pair(() => {});
  copy.load(saved);
  expect(copy.save()).toEqual(saved);
  expect(copy.acknowledge()).toBe(pic.acknowledge());
});
