/** The firmware tables, read back by the field offsets of the MultiProcessor Specification 1.4 and the ACPI Specification 3.0. */
import { describe, expect, it } from 'vitest';
import { firmwareTables } from '../../src/machine/firmware/firmware.ts';

const SIGNATURE = 0x206a7;
/** FPU, CMPXCHG8B, APIC. */
const FEATURES = 0x301;
const blocks = firmwareTables(SIGNATURE);
/** The BIOS area as a kernel would see it. */
const AREA = 0xf0000;
const area = new Uint8Array(0x10000);
for (const { address, bytes } of blocks) area.set(bytes, address - AREA);
const view = new DataView(area.buffer);

const u8 = (at: number): number => view.getUint8(at - AREA);
const u16 = (at: number): number => view.getUint16(at - AREA, true);
const u32 = (at: number): number => view.getUint32(at - AREA, true);
const text = (at: number, length: number): string =>
  String.fromCharCode(...area.subarray(at - AREA, at - AREA + length));
const sum = (at: number, length: number): number =>
  area.subarray(at - AREA, at - AREA + length).reduce((total, byte) => (total + byte) & 0xff, 0);
/** Scans as kernels do, on 16-byte boundaries. */
function find(signature: string): number {
  for (let at = AREA; at < AREA + area.length; at += 16) if (text(at, signature.length) === signature) return at;
  throw new Error(`No '${signature}' in the BIOS area.`);
}

it('lie in the BIOS area, one behind the other', () => {
  const sorted = [...blocks].sort((a, b) => a.address - b.address);
  for (const [index, { address, bytes }] of sorted.entries()) {
    expect(address).toBeGreaterThanOrEqual(0xf0000);
    expect(address + bytes.length).toBeLessThanOrEqual(sorted[index + 1]?.address ?? 0x100000);
  }
});

describe('MP table', () => {
  const pointer = find('_MP_');
  const table = u32(pointer + 4);

  it('floating pointer structure (table 4-1): one paragraph, revision 1.4, virtual wire mode', () => {
    expect([u8(pointer + 8), u8(pointer + 9), sum(pointer, 16)]).toEqual([1, 4, 0]);
    expect([u8(pointer + 11), u8(pointer + 12)]).toEqual([0, 0]);
  });

  it('configuration table header (table 4-2)', () => {
    expect([text(table, 4), u8(table + 6), sum(table, u16(table + 4))]).toEqual(['PCMP', 4, 0]);
    expect([u32(table + 28), u16(table + 32), u32(table + 36)]).toEqual([0, 0, 0xfee00000]);
  });

  it('entries (tables 4-4 to 4-12), by type in ascending order', () => {
    const sizes = [20, 8, 8, 8, 8];
    const entries: number[][] = [];
    let at = table + 44;
    for (let count = 0; count < u16(table + 34); count++) {
      const size = sizes[u8(at)]!;
      entries.push([...area.subarray(at - AREA, at - AREA + size)]);
      at += size;
    }
    expect(at).toBe(table + u16(table + 4));
    const types = entries.map(([type]) => type!);
    expect(types).toEqual([...types].sort((a, b) => a - b));

    const word = (entry: number[], offset: number): number =>
      (entry[offset]! | (entry[offset + 1]! << 8) | (entry[offset + 2]! << 16) | (entry[offset + 3]! << 24)) >>> 0;
    const [processor] = entries;
    expect(processor!.slice(0, 4)).toEqual([0, 0, 0x14, 3]);
    expect([word(processor!, 4), word(processor!, 8)]).toEqual([SIGNATURE & 0xfff, FEATURES]);
    const buses = entries.filter(([type]) => type === 1);
    expect(buses.map((entry) => [entry[1], String.fromCharCode(...entry.slice(2))])).toEqual([
      [0, 'PCI   '],
      [1, 'ISA   '],
    ]);
    expect([entries[3]!.slice(0, 4), word(entries[3]!, 4)]).toEqual([[2, 1, 0x11, 1], 0xfec00000]);
    const io = entries.filter(([type, , , , bus]) => type === 3 && bus === 1);
    // ExtINT on input 0; the timer on input 2; the SCI a level; everything else where its number says.
    expect(io[0]).toEqual([3, 3, 0, 0, 1, 0, 1, 0]);
    expect(io.slice(1)).toEqual(
      [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15].map((irq) => [
        ...[3, 0, irq === 9 ? 0x0d : 0, 0, 1, irq],
        ...[1, irq === 0 ? 2 : irq],
      ]),
    );
    // The virtio devices' slots 4 and 5, INTA#: slot in bits 6:2 of the interrupt's number, pin in 1:0 (D.3).
    const pci = entries.filter(([type, , , , bus]) => type === 3 && bus === 0);
    expect(pci).toHaveLength(28);
    expect(pci.filter((entry) => entry[5] === 4 << 2 || entry[5] === 5 << 2)).toEqual([
      [3, 0, 0, 0, 0, 0x10, 1, 16],
      [3, 0, 0, 0, 0, 0x14, 1, 17],
    ]);
    expect(entries.filter(([type]) => type === 4)).toEqual([
      [4, 3, 0, 0, 1, 0, 0xff, 0],
      [4, 1, 0, 0, 1, 0, 0xff, 1],
    ]);
  });
});

describe('ACPI tables', () => {
  const root = find('RSD PTR ');
  const rsdt = u32(root + 16);
  const tables = Array.from({ length: (u32(rsdt + 4) - 36) / 4 }, (_, index) => u32(rsdt + 36 + 4 * index));
  const [fadt, madt] = tables as [number, number];

  it('RSDP (5.2.5.3) of revision 0', () => {
    expect([u8(root + 15), sum(root, 20)]).toEqual([0, 0]);
  });

  it('every table has its signature, length and checksum (5.2.6)', () => {
    const dsdt = u32(fadt + 40);
    for (const [at, signature, revision] of [
      [rsdt, 'RSDT', 1],
      [fadt, 'FACP', 3],
      [madt, 'APIC', 1],
      [dsdt, 'DSDT', 1],
    ] as const) {
      expect([text(at, 4), u8(at + 8), sum(at, u32(at + 4))]).toEqual([signature, revision, 0]);
    }
  });

  it('FACS (5.2.10) on a 64-byte boundary', () => {
    const facs = u32(fadt + 36);
    expect([text(facs, 4), u32(facs + 4), facs % 64, u8(facs + 32)]).toEqual(['FACS', 64, 0, 1]);
  });

  it('FADT (table 5-5): where the fixed hardware is', () => {
    expect(u32(fadt + 4)).toBe(244);
    // SCI, SMI command, PM1a event, PM1a control, timer.
    expect([u16(fadt + 46), u32(fadt + 48), u32(fadt + 56), u32(fadt + 64), u32(fadt + 76)]).toEqual([
      9, 0, 0x600, 0x604, 0x608,
    ]);
    expect([u8(fadt + 88), u8(fadt + 89), u8(fadt + 91)]).toEqual([4, 2, 4]);
    expect([u16(fadt + 96), u16(fadt + 98), u8(fadt + 108), u16(fadt + 109)]).toEqual([101, 1001, 0x32, 7]);
    // 24-bit timer (bit 8 clear), reset register (bit 10).
    expect(u32(fadt + 112) & 0x500).toBe(0x400);
    expect([u8(fadt + 116), u8(fadt + 117), u32(fadt + 120), u8(fadt + 128)]).toEqual([1, 8, 0xcf9, 6]);
    expect([u32(fadt + 132), u32(fadt + 140)]).toEqual([u32(fadt + 36), u32(fadt + 40)]);
    for (const [at, bits, port] of [
      [148, 32, 0x600],
      [172, 16, 0x604],
      [208, 32, 0x608],
    ] as const) {
      expect([u8(fadt + at), u8(fadt + at + 1), u32(fadt + at + 4), u32(fadt + at + 8)]).toEqual([1, bits, port, 0]);
    }
  });

  it('MADT (5.2.11): processor, I/O APIC, overrides of interrupts 0 and 9, NMI on LINT1', () => {
    expect([u32(madt + 36), u32(madt + 40)]).toEqual([0xfee00000, 1]);
    expect([...area.subarray(madt + 44 - AREA, madt + u32(madt + 4) - AREA)]).toEqual([
      ...[0, 8, 0, 0, 1, 0, 0, 0],
      ...[1, 12, 1, 0, 0x00, 0x00, 0xc0, 0xfe, 0, 0, 0, 0],
      ...[2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
      ...[2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0],
      ...[4, 6, 0xff, 0, 0, 1],
    ]);
  });

  it('DSDT: \\_S5 is a package of the sleep type that switches off', () => {
    const dsdt = u32(fadt + 40);
    // NameOp RootChar "_S5_" PackageOp length 4 elements: 5, 5, 0, 0 (chapter 18).
    expect([...area.subarray(dsdt + 36 - AREA, dsdt + 36 + 15 - AREA)]).toEqual([
      0x08, 0x5c, 0x5f, 0x53, 0x35, 0x5f, 0x12, 0x08, 0x04, 0x0a, 0x05, 0x0a, 0x05, 0x00, 0x00,
    ]);
  });
});
