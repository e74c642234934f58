/** The AML encoder against byte strings that the ACPI Specification 3.0 spells out or that firmware of real PCs holds. */
import { describe, expect, it } from 'vitest';
import {
  busNumbers,
  device,
  eisaId,
  integer,
  interrupt,
  memorySpace,
  name,
  packageOf,
  portSpace,
  ports,
  resources,
  scope,
} from '../../src/machine/firmware/aml.ts';

const text = (letters: string): number[] => [...letters].map((letter) => letter.charCodeAt(0));

describe('terms (18.2)', () => {
  it.each([
    [0, [0x00]],
    [1, [0x01]],
    [2, [0x0a, 2]],
    [0xff, [0x0a, 0xff]],
    [0x100, [0x0b, 0x00, 0x01]],
    [0x4ffff, [0x0c, 0xff, 0xff, 0x04, 0x00]],
  ])('integer %i', (value, bytes) => {
    expect(integer(value)).toEqual(bytes);
  });

  it.each([
    ['PNP0A03', 0x030ad041],
    ['PNP0303', 0x0303d041],
    ['PNP0501', 0x0105d041],
    ['PNP0B00', 0x000bd041],
    ['PNP0F13', 0x130fd041],
  ])('%s, as disassemblers show it', (id, value) => {
    const [prefix, ...bytes] = eisaId(id);
    expect([prefix, new DataView(Uint8Array.from(bytes).buffer).getUint32(0, true)]).toEqual([0x0c, value]);
  });

  it('names are padded with underscores', () => {
    expect(name('_S5', [0])).toEqual([0x08, ...text('_S5_'), 0]);
    expect(name('\\_SB', [0])).toEqual([0x08, 0x5c, ...text('_SB_'), 0]);
  });

  it('package lengths count themselves, in one byte up to 63 and in two above', () => {
    const filled = (count: number): number[] => [...packageOf(new Array<number>(count).fill(0))];
    // One byte of length, one of count.
    expect(filled(61).slice(0, 3)).toEqual([0x12, 63, 1]);
    // 62 + 1 + 2 = 65 = 0x41.
    expect(filled(62).slice(0, 4)).toEqual([0x12, 0x41, 0x04, 1]);
    expect(filled(4000).slice(0, 4)).toEqual([0x12, 0x40 | (4003 & 15), 4003 >>> 4, 1]);
    expect(() => filled(4096)).toThrow('longer than this encoder allows');
  });

  it('scopes and devices hold their terms', () => {
    const inner = [0x5b, 0x82, 5, ...text('KBD_')];
    expect(device('KBD')).toEqual(inner);
    expect(scope('\\_SB', inner)).toEqual([0x10, 6 + inner.length, 0x5c, ...text('_SB_'), ...inner]);
  });
});

describe('resource descriptors (6.4)', () => {
  it.each([
    ['ports', ports(0xcf8, 8), [0x47, 0x01, 0xf8, 0x0c, 0xf8, 0x0c, 0x01, 0x08]],
    ['interrupt 8', interrupt(8), [0x22, 0x00, 0x01]],
    [
      'bus numbers',
      busNumbers(0, 255),
      [0x88, 0x0d, 0x00, 0x02, 0x0c, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0x00, 0x00, 0x00, 0x00, 0x01],
    ],
    [
      'ports passed on',
      portSpace(0, 0xcf7),
      [0x88, 0x0d, 0x00, 0x01, 0x0c, 0x03, 0x00, 0x00, 0x00, 0x00, 0xf7, 0x0c, 0x00, 0x00, 0xf8, 0x0c],
    ],
    [
      'memory passed on',
      memorySpace(0xe0000000, 0xfebfffff),
      [
        ...[0x87, 0x17, 0x00, 0x00, 0x0c, 0x01, 0, 0, 0, 0, 0x00, 0x00, 0x00, 0xe0],
        ...[0xff, 0xff, 0xbf, 0xfe, 0, 0, 0, 0, 0x00, 0x00, 0xc0, 0x1e],
      ],
    ],
  ])('%s', (_, bytes, expected) => {
    expect(bytes).toEqual(expected);
  });

  it('a buffer ends with the end tag', () => {
    expect(resources(interrupt(1))).toEqual([0x11, 8, 0x0a, 5, 0x22, 0x02, 0x00, 0x79, 0x00]);
  });
});
