/** The Linux loader against the kernel's boot protocol (Documentation/arch/x86/boot.rst and zero-page.rst). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_PROFILE } from '../../src/cost/profiles/index.ts';
import { ImageError } from '../../src/machine/elf.ts';
import { loadKernel } from '../../src/machine/kernel-loader.ts';
import { type HeaderFields, tinyLinux } from '../support/tiny-linux.ts';

const MB = 1 << 20;

function load(
  fields: HeaderFields = {},
  options: { ramBytes?: number; initrd?: Uint8Array; commandLine?: string } = {},
) {
  const { ramBytes = 32 * MB, commandLine = '' } = options;
  const ram = new Uint8Array(ramBytes);
  const image = tinyLinux(fields);
  const files = {
    image,
    commandLine,
    ramBytes,
    profile: DEFAULT_PROFILE,
    ...(options.initrd === undefined ? {} : { initrd: options.initrd }),
  };
  const boot = loadKernel(files, { writeBytes: (at, data) => ram.set(data, at) });
  const parameters = new DataView(ram.buffer, boot.registers.esi);
  return { ram, image, boot, word: (offset: number): number => parameters.getUint32(offset, true), parameters };
}

describe('a good kernel', () => {
  it('lies at its preferred address and starts at its first byte', () => {
    const { ram, image, boot } = load();
    expect(boot.entry).toBe(0x1000000);
    expect(ram.subarray(boot.entry, boot.entry + image.length - 1024)).toEqual(image.subarray(1024));
  });

  it.each([
    ['RAM that ends too early for the preferred address', {}, 8 * MB],
    ['a kernel that must not be moved', { relocatable: 0 }, 32 * MB],
  ])('lies at 1 MB: %s', (_, fields, ramBytes) => {
    expect(load(fields, { ramBytes }).boot.entry).toBe(0x100000);
  });

  it('gets flat segments with the selectors of the protocol, described in a GDT', () => {
    const { ram, boot } = load();
    expect([boot.codeSelector, boot.dataSelector]).toEqual([0x10, 0x18]);
    expect(boot.gdt?.limit).toBe(31);
    const gdt = new DataView(ram.buffer, boot.gdt?.base);
    expect([0x10, 0x14, 0x18, 0x1c].map((at) => gdt.getUint32(at, true))).toEqual([0xffff, 0xcf9b00, 0xffff, 0xcf9300]);
  });

  it('gets its own setup header back, with the fields that a loader fills in', () => {
    const { image, parameters, word } = load({}, { initrd: new Uint8Array(5000).fill(7) });
    const kept = [0x1f1, 0x202, 0x206, 0x230, 0x238, 0x258, 0x260];
    const original = new DataView(image.buffer);
    for (const offset of kept) expect(word(offset)).toBe(original.getUint32(offset, true));
    expect(parameters.getUint8(0x210)).toBe(0xff);
    expect(word(0x214)).toBe(0x1000000);
    expect(word(0x21c)).toBe(5000);
  });

  it('gets nothing of the header area that lies behind its header', () => {
    expect(new Uint8Array(load().parameters.buffer, 0x10000 + 0x26c, 0x2d0 - 0x26c).every((byte) => byte === 0)).toBe(
      true,
    );
  });

  it('is told the memory map', () => {
    const { parameters, word } = load();
    const entries = Array.from({ length: parameters.getUint8(0x1e8) }, (_, index) => {
      const at = 0x2d0 + 20 * index;
      return [parameters.getBigUint64(at, true), parameters.getBigUint64(at + 8, true), word(at + 16)];
    });
    expect(entries).toEqual([
      [0n, 0x9fc00n, 1],
      [0x9fc00n, 0x400n, 2],
      [0xf0000n, 0x10000n, 2],
      [0x100000n, 31n << 20n, 1],
    ]);
  });

  it('is told its command line', () => {
    const { ram, word } = load({}, { commandLine: 'console=ttyS0' });
    const at = word(0x228);
    expect(new TextDecoder().decode(ram.subarray(at, ram.indexOf(0, at)))).toBe('console=ttyS0');
  });
});

it('puts the RAM disk, whole and page-aligned, as high as the kernel allows and never over the kernel', () => {
  const bytes = fc.integer({ min: 1, max: 3 * MB });
  const border = fc.integer({ min: 4, max: 31 });
  const initSize = fc.integer({ min: 1, max: 2 * MB });
  fc.assert(
    fc.property(bytes, border, initSize, (bytes, border, initSize) => {
      const end = border * MB;
      fc.pre(end - bytes >= 0x101000 + initSize);
      const image = tinyLinux({ initrdAddrMax: end - 1, initSize, relocatable: 0 });
      const initrd = new Uint8Array(bytes);
      const places: number[] = [];
      loadKernel(
        { image, commandLine: '', ramBytes: 32 * MB, profile: DEFAULT_PROFILE, initrd },
        { writeBytes: (at, data) => data === initrd && places.push(at) },
      );
      expect(places).toHaveLength(1);
      const at = places[0] as number;
      expect(at % 4096).toBe(0);
      expect(at + bytes).toBeLessThanOrEqual(end);
      expect(at + bytes).toBeGreaterThan(end - 4096);
      expect(at).toBeGreaterThanOrEqual(0x100000 + initSize);
    }),
  );
});

describe('refusals, each in one sentence', () => {
  const refuse = (files: Partial<Parameters<typeof loadKernel>[0]>): string => {
    try {
      loadKernel(
        { image: tinyLinux(), commandLine: '', ramBytes: 32 * MB, profile: DEFAULT_PROFILE, ...files },
        { writeBytes: () => {} },
      );
    } catch (error) {
      expect(error).toBeInstanceOf(ImageError);
      return (error as Error).message;
    }
    throw new Error('The loader accepted it.');
  };
  const cut = (bytes: number): Uint8Array => tinyLinux().slice(0, bytes);

  it.each<[string, Partial<Parameters<typeof loadKernel>[0]>, RegExp]>([
    ['an empty file', { image: new Uint8Array(0) }, /no multiboot 1 header/],
    ['text', { image: new TextEncoder().encode('#!/bin/sh\n'.repeat(100)) }, /no multiboot 1 header/],
    ['a kernel without its boot flag', { image: tinyLinux({ bootFlag: 0 }) }, /no Linux kernel/],
    ['an old protocol', { image: tinyLinux({ version: 0x0204 }) }, /speaks boot protocol 2\.4; 2\.10/],
    ['a zImage', { image: tinyLinux({ loadflags: 0 }) }, /is a zImage/],
    ['a header cut short', { image: tinyLinux({ jump: 0x20eb }) }, /cut short/],
    ['a file cut in its setup code', { image: cut(700) }, /cut short: it has 700 bytes, and its header promises 1056/],
    ['a file cut in its kernel', { image: cut(1030) }, /cut short: it has 1030 bytes/],
    ['a size that wraps', { image: tinyLinux({ syssize: 0xffffffff }) }, /cut short/],
    ['too little RAM', { ramBytes: MB }, /needs 2 MB of RAM to unpack itself, and the guest has 1 MB/],
    ['a huge kernel', { image: tinyLinux({ initSize: 0xfffff000 }) }, /needs 4097 MB of RAM/],
    [
      'a RAM disk larger than RAM',
      { initrd: new Uint8Array(40 * MB) },
      /RAM disk \(40 MB\) does not fit between the kernel's end at 17 MB and 32 MB/,
    ],
    [
      'a RAM disk out of reach',
      { image: tinyLinux({ initrdAddrMax: MB }), initrd: new Uint8Array(10) },
      /RAM disk .* does not fit/,
    ],
    ['a long command line', { commandLine: 'x'.repeat(2048) }, /has 2048 characters; this kernel takes 2047/],
  ])('%s', (_, files, expected) => {
    const message = refuse(files);
    expect(message).toMatch(expected);
    expect(message).toMatch(/^[A-Z].*\.$/);
    expect(message).not.toContain('\n');
  });

  it('a RAM disk for a multiboot kernel', () => {
    expect(refuse({ image: new Uint8Array(9000), initrd: new Uint8Array(1) })).toMatch(/Only a Linux kernel/);
  });

  it('never anything but a sentence, whatever the header holds', () => {
    const byte = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0x1f1, max: 0x263 }), byte), { maxLength: 8 }), (changes) => {
        const image = tinyLinux();
        for (const [at, value] of changes) image[at] = value;
        const ram = new Uint8Array(8 * MB);
        const files = {
          image,
          commandLine: '',
          ramBytes: ram.length,
          profile: DEFAULT_PROFILE,
          initrd: new Uint8Array(4096),
        };
        try {
          // A write outside RAM throws RangeError, which is no ImageError.
          loadKernel(files, { writeBytes: (at, data) => ram.set(data, at) });
        } catch (error) {
          expect(error).toBeInstanceOf(ImageError);
        }
      }),
    );
  });
});
