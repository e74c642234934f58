/** The loader: where things go, what the kernel is told, and what is refused with which sentence. */
import { describe, expect, it } from 'vitest';
import { ImageError, parseElf, sectionData } from '../../src/machine/elf.ts';
import { loadMultiboot } from '../../src/machine/multiboot.ts';
import { GUESTS, tinyImage } from '../support/tiny-image.ts';

const RAM = 4 << 20;

function load(image: Uint8Array, commandLine = '', ramBytes = RAM) {
  const ram = new Uint8Array(ramBytes);
  const boot = loadMultiboot(image, commandLine, ramBytes, { writeBytes: (at, data) => ram.set(data, at) });
  return { ram, view: new DataView(ram.buffer), boot };
}
function changed(offset: number, value: number): Uint8Array {
  const image = tinyImage(GUESTS.good);
  new DataView(image.buffer).setUint32(offset, value, true);
  return image;
}
function text(ram: Uint8Array, at: number): string {
  return String.fromCharCode(...ram.subarray(at, ram.indexOf(0, at)));
}

describe('a good image', () => {
  it('lies at its physical address and starts at its entry', () => {
    const image = tinyImage(GUESTS.good);
    const { ram, boot } = load(image);
    expect(ram.subarray(0x100000, 0x100000 + image.length)).toEqual(image);
    expect(boot.entry).toBe(0x100000 + image.length - GUESTS.good.length);
  });

  it('finds the physical entry of a kernel linked high', () => {
    const image = tinyImage(GUESTS.good);
    const view = new DataView(image.buffer);
    view.setUint32(24, view.getUint32(24, true) + 0xc0000000, true);
    view.setUint32(60, 0xc0100000, true);
    expect(load(image).boot.entry).toBe(load(tinyImage(GUESTS.good)).boot.entry);
  });

  it('is told memory sizes, command line and memory map', () => {
    const { ram, view, boot } = load(tinyImage(GUESTS.good), 'run=all');
    const word = (offset: number): number => view.getUint32((boot.registers.ebx as number) + offset, true);
    expect(word(0)).toBe(0x245);
    expect([word(4), word(8)]).toEqual([639, 3072]);
    expect(text(ram, word(16))).toBe('run=all');
    expect(text(ram, word(64))).toBe('trivisor');
    const map = [];
    for (let at = word(48); at < word(48) + word(44); at += view.getUint32(at, true) + 4) {
      map.push([view.getUint32(at + 4, true), view.getUint32(at + 12, true), view.getUint32(at + 20, true)]);
    }
    expect(map).toEqual([
      [0, 0x9fc00, 1],
      [0x9fc00, 0x400, 2],
      [0xf0000, 0x10000, 2],
      [0x100000, 3 << 20, 1],
    ]);
  });
});

describe('refusals', () => {
  const cases: readonly (readonly [what: string, image: Uint8Array, message: RegExp])[] = [
    ['no multiboot header', changed(84, 0), /no multiboot 1 header in its first 8192 bytes/],
    ['a wrong header checksum', changed(92, 1), /no multiboot 1 header/],
    ['no ELF file', changed(0, 0), /is not an ELF file/],
    ['a 64-bit file', changed(4, 0x00010102), /not a 32-bit little-endian ELF/],
    ['another machine', changed(16, 0x0028_0002), /for machine 40, not for 3/],
    ['a relocatable file', changed(16, 0x0003_0001), /type 1, not 2/],
    ['nothing to load', changed(52, 6), /no segment to load/],
    ['more RAM than there is', changed(72, 64 << 20), /0x100000\.\.0x4100000, but the guest has only 0x400000 bytes/],
    ['the information page', changed(64, 0x8ff0), /where the multiboot information goes/],
    ['the BIOS area', changed(64, 0xa0000), /overlaps the BIOS area/],
    ['an entry outside', changed(24, 0x300000), /entry point 0x300000 lies in no segment/],
    ['a truncated segment', tinyImage(GUESTS.good).subarray(0, 100), /ends inside its segment 0/],
  ];
  it.each(cases)('%s', (_, image, message) => {
    expect(() => load(image)).toThrow(ImageError);
    expect(() => load(image)).toThrow(message);
  });

  it('header features that the loader lacks', () => {
    const image = tinyImage(GUESTS.good);
    const view = new DataView(image.buffer);
    for (const [flags, message] of [
      [0x4, /demands features 0x4/],
      [0x10000, /flag bit 16/],
    ] as const) {
      view.setUint32(88, flags, true);
      view.setUint32(92, -(0x1badb002 + flags) >>> 0, true);
      expect(() => load(image)).toThrow(message);
    }
  });

  it('a command line that is too long', () => {
    expect(() => load(tinyImage(GUESTS.good), 'x'.repeat(4000))).toThrow('has 4000 characters; at most 3583 fit');
  });
});

describe('ELF files', () => {
  it('have sections and notes', () => {
    const file = parseElf(sectioned());
    expect(new TextDecoder().decode(sectionData(file, '.text') as Uint8Array)).toBe('code');
    expect(sectionData(file, '.data')).toBeNull();
    expect(file.notes).toEqual([{ owner: 'Xen', type: 1, data: Uint8Array.of(1, 2, 3, 4) }]);
  });
});

/** An ELF file with sections `.text`, a note and the names. */
function sectioned(): Uint8Array {
  const names = '\0.text\0.note\0.names\0';
  const note = [4, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0x58, 0x65, 0x6e, 0, 1, 2, 3, 4];
  const parts = [[...new TextEncoder().encode('code')], note, [...new TextEncoder().encode(names)]];
  const headers = 52 + parts.flat().length;
  const file = new Uint8Array(headers + 4 * 40);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  view.setUint32(16, 0x0003_0002, true);
  view.setUint32(32, headers, true);
  view.setUint16(46, 40, true);
  view.setUint16(48, 4, true);
  view.setUint16(50, 3, true);
  let at = 52;
  for (const [index, part] of parts.entries()) {
    file.set(part, at);
    const header = headers + 40 * (index + 1);
    view.setUint32(header, [1, 7, 13][index] as number, true);
    view.setUint32(header + 4, index === 1 ? 7 : 1, true);
    view.setUint32(header + 16, at, true);
    view.setUint32(header + 20, part.length, true);
    at += part.length;
  }
  return file;
}
