/** SDM 3A 4.3 and 4.4 once more, as plainly as possible: what the core's walker is judged against. */

export interface Paging {
  readonly pae: boolean;
  readonly pse: boolean;
  readonly wp: boolean;
  readonly nxe: boolean;
  readonly pge: boolean;
  /** CR3, or under PAE the four PDPTEs. */
  readonly cr3: number;
  readonly pdptes: readonly bigint[];
}

export interface Access {
  readonly linear: number;
  readonly write: boolean;
  readonly user: boolean;
  readonly fetch: boolean;
}

export type Outcome =
  | { readonly kind: 'fault'; readonly code: number; readonly reads: number }
  | {
      readonly kind: 'mapped';
      readonly physical: number;
      readonly reads: number;
      /** Entry addresses, with the value that they must hold afterwards. */
      readonly entries: readonly { readonly at: number; readonly value: bigint }[];
    };

const bit = (value: bigint, n: number): boolean => ((value >> BigInt(n)) & 1n) === 1n;
const bits = (value: bigint, high: number, low: number): bigint =>
  (value >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);

interface Level {
  readonly at: number;
  readonly value: bigint;
  readonly large: boolean;
}

export function referenceWalk(paging: Paging, access: Access, read: (at: number, size: 4 | 8) => bigint): Outcome {
  const { pae, pse, nxe } = paging;
  const linear = BigInt(access.linear >>> 0);
  const levels: Level[] = [];
  let reads = 0;

  const fault = (present: boolean, reserved: boolean): Outcome => {
    const code =
      (present ? 1 : 0) |
      (access.write ? 2 : 0) |
      (access.user ? 4 : 0) |
      (reserved ? 8 : 0) |
      (access.fetch && pae && nxe ? 16 : 0);
    return { kind: 'fault', code, reads };
  };

  if (pae) {
    const pdpte = paging.pdptes[Number(bits(linear, 31, 30))] as bigint;
    if (!bit(pdpte, 0)) return fault(false, false);
    const pdeAt = Number(bits(pdpte, 35, 12) << 12n) + Number(bits(linear, 29, 21)) * 8;
    const pde = read(pdeAt, 8);
    reads++;
    if (!bit(pde, 0)) return fault(false, false);
    const reservedHigh = (entry: bigint): boolean => bits(entry, 62, 36) !== 0n || (bit(entry, 63) && !nxe);
    if (reservedHigh(pde)) return fault(true, true);
    if (bit(pde, 7)) {
      if (bits(pde, 20, 13) !== 0n) return fault(true, true);
      levels.push({ at: pdeAt, value: pde, large: true });
    } else {
      const pteAt = Number(bits(pde, 35, 12) << 12n) + Number(bits(linear, 20, 12)) * 8;
      const pte = read(pteAt, 8);
      reads++;
      if (!bit(pte, 0)) return fault(false, false);
      if (reservedHigh(pte)) return fault(true, true);
      levels.push({ at: pdeAt, value: pde, large: false }, { at: pteAt, value: pte, large: false });
    }
  } else {
    const pdeAt = (paging.cr3 & ~0xfff) + Number(bits(linear, 31, 22)) * 4;
    const pde = read(pdeAt, 4);
    reads++;
    if (!bit(pde, 0)) return fault(false, false);
    if (pse && bit(pde, 7)) {
      // 36 physical bits: address bits 35:32 come from bits 16:13; bits 21:17 are reserved.
      if (bits(pde, 21, 17) !== 0n) return fault(true, true);
      levels.push({ at: pdeAt, value: pde, large: true });
    } else {
      const pteAt = Number(bits(pde, 31, 12) << 12n) + Number(bits(linear, 21, 12)) * 4;
      const pte = read(pteAt, 4);
      reads++;
      if (!bit(pte, 0)) return fault(false, false);
      levels.push({ at: pdeAt, value: pde, large: false }, { at: pteAt, value: pte, large: false });
    }
  }

  const writable = levels.every((level) => bit(level.value, 1));
  const user = levels.every((level) => bit(level.value, 2));
  const noExecute = pae && nxe && levels.some((level) => bit(level.value, 63));
  if (access.user && !user) return fault(true, false);
  if (access.write && !writable && (access.user || paging.wp)) return fault(true, false);
  if (access.fetch && noExecute) return fault(true, false);

  const leaf = levels[levels.length - 1] as Level;
  let physical: bigint;
  if (!leaf.large) physical = (bits(leaf.value, pae ? 35 : 31, 12) << 12n) | bits(linear, 11, 0);
  else if (pae) physical = (bits(leaf.value, 35, 21) << 21n) | bits(linear, 20, 0);
  else physical = (bits(leaf.value, 16, 13) << 32n) | (bits(leaf.value, 31, 22) << 22n) | bits(linear, 21, 0);
  const entries = levels.map((level, index) => ({
    at: level.at,
    value: level.value | 0x20n | (access.write && index === levels.length - 1 ? 0x40n : 0n),
  }));
  return { kind: 'mapped', physical: Number(physical), reads, entries };
}
