import { describe, expect, it } from 'vitest';
import { HYPERCALLS } from '../../../src/engines/paravirt/hypercalls/table.ts';
import { BASE, CODE, DATA, Domain, SELF } from './domain.ts';

const [EPERM, EFAULT, EINVAL, ENOSYS] = [-1, -14, -22, -38];

describe('hypercalls', () => {
  it('[pv:numbers] returns -ENOSYS for every number that is not built', () => {
    const domain = new Domain();
    const built = new Set(HYPERCALLS.map((row) => row.number));
    for (const number of [...Array(64).keys(), 64, 1000, -1]) {
      if (!built.has(number)) expect(domain.call(number, 0, 0, 0, 0)).toBe(ENOSYS);
    }
  });

  it('[pv:numbers] returns -EFAULT for pointers into the hypervisor or to nothing', () => {
    const domain = new Domain();
    for (const pointer of [0xf5800000, 0xf6800000, 0xfffffff0, 0x1000]) {
      expect(domain.call(0, pointer)).toBe(EFAULT);
      expect(domain.call(1, pointer, 1, 0, SELF)).toBe(EFAULT);
      expect(domain.call(13, pointer, 1)).toBe(EFAULT);
      expect(domain.call(26, pointer, 1, 0, SELF)).toBe(EFAULT);
      expect(domain.call(18, 0, 4, pointer)).toBe(EFAULT);
      expect(domain.call(12, 12, pointer)).toBe(EFAULT);
      expect(domain.call(17, 1, pointer)).toBe(EFAULT);
    }
    // Results go nowhere that the guest itself may not write: its page tables.
    expect(domain.call(17, 5, domain.startInfo(60))).toBe(EFAULT);
  });

  it('[pv:xen-version] tells version, capabilities, start of the hole, features and page size', () => {
    const domain = new Domain();
    expect(domain.call(17, 0)).toBe(0x40001);
    expect(domain.call(17, 3, DATA)).toBe(0);
    expect(domain.read(DATA)).toBe(0x2d6e6578);
    expect(domain.call(17, 5, DATA)).toBe(0);
    expect(domain.read(DATA)).toBe(0xf5800000);
    domain.write(DATA, 0, 0);
    expect(domain.call(17, 6, DATA)).toBe(0);
    expect(domain.read(DATA + 4)).toBe(1 << 5);
    expect(domain.call(17, 7)).toBe(4096);
    expect(domain.call(17, 50)).toBe(ENOSYS);
  });

  it('[pv:console-io] prints to the machine’s console', () => {
    const domain = new Domain();
    domain.write(DATA, 0x0a216948);
    expect(domain.call(18, 0, 4, DATA)).toBe(0);
    expect(domain.engine.machine.consoleText()).toBe('Hi!\n');
    expect(domain.call(18, 9, 4, DATA)).toBe(ENOSYS);
  });

  it('[pv:set-trap-table] takes a list that ends with address 0, raises privilege 0, and clears by a null pointer', () => {
    const domain = new Domain();
    domain.write(DATA, 3 | (0xe018 << 16), CODE, 6 | (0xe019 << 16), CODE + 8, 0, 0);
    expect(domain.call(0, DATA)).toBe(0);
    expect([domain.xen.vcpu[13], domain.xen.vcpu[25]]).toEqual([0xe019, 0xe019]);
    expect(domain.call(0, 0)).toBe(0);
    expect(domain.xen.vcpu[13]).toBe(0);
  });

  it('[pv:callbacks] takes callbacks by set_callbacks and callback_op, and refuses others', () => {
    const domain = new Domain();
    expect(domain.call(4, 0xe018, CODE, 0xe019, CODE + 8)).toBe(0);
    expect([domain.xen.vcpu[1026], domain.xen.vcpu[1028]]).toEqual([0xe019, 0xe019]);
    domain.write(DATA, 0, 0xe019, CODE + 16);
    expect(domain.call(30, 0, DATA)).toBe(0);
    expect(domain.xen.vcpu[1027]! >>> 0).toBe(CODE + 16);
    domain.write(DATA, 7, 0xe019, CODE);
    expect(domain.call(30, 0, DATA)).toBe(ENOSYS);
  });

  it('[pv:callbacks] takes an NMI handler by nmi_op and callback_op as entry 2 of the trap table, with events masked', () => {
    const domain = new Domain();
    const entry = (): number[] => [...domain.xen.vcpu.subarray(8, 11)].map((word) => word >>> 0);
    domain.write(DATA, CODE + 16, 0);
    expect(domain.call(28, 0, DATA)).toBe(0);
    expect(entry()).toEqual([4, 0xe019, CODE + 16]);
    expect(domain.call(28, 1, 0)).toBe(0);
    expect(entry()).toEqual([0, 0, 0]);
    domain.write(DATA, 4, 0xe019, CODE + 24);
    expect(domain.call(30, 0, DATA)).toBe(0);
    expect(entry()).toEqual([4, 0xe019, CODE + 24]);
    expect(domain.call(30, 1, DATA)).toBe(0);
    expect(entry()).toEqual([0, 0, 0]);
    expect(domain.call(28, 2, DATA)).toBe(ENOSYS);
    expect(domain.call(28, 0, 0xf6800000)).toBe(-14);
    domain.write(DATA, 0, 0, 0);
    expect(domain.call(30, 1, DATA)).toBe(-22);
  });

  it('[pv:vm-assist] [pv:debugreg] checks types, and addresses of breakpoints', () => {
    const domain = new Domain();
    expect(domain.call(21, 0, 2)).toBe(0);
    expect(domain.call(21, 0, 0)).toBe(ENOSYS);
    expect(domain.call(21, 0, 9)).toBe(EINVAL);
    expect(domain.call(21, 5, 2)).toBe(EINVAL);
    expect(domain.call(8, 0, 0xf6900000)).toBe(EPERM);
    expect(domain.call(8, 0, 0x1234)).toBe(0);
    expect(domain.call(9, 0)).toBe(0x1234);
    expect(domain.call(9, 12)).toBe(EINVAL);
  });

  it('[pv:multicall] gives each call its result, and refuses to nest', () => {
    const domain = new Domain();
    domain.write(DATA, 17, -1, 7, 0, 0, 0, 0, 0, 99, -1, 0, 0, 0, 0, 0, 0, 13, -1, DATA, 1, 0, 0, 0, 0);
    expect(domain.call(13, DATA, 3)).toBe(0);
    expect([4, 36, 68].map((offset) => domain.read(DATA + offset) | 0)).toEqual([4096, ENOSYS, ENOSYS]);
    expect(domain.engine.counters()).toMatchObject({ 'multicall entry': 3 });
  });

  it('[pv:memory-op] tells where the machine-to-physical table is', () => {
    const domain = new Domain();
    expect(domain.call(12, 12, DATA)).toBe(0);
    expect([domain.read(DATA), domain.read(DATA + 4)]).toEqual([0xf5800000, 0xf6800000]);
    expect(domain.call(12, 50, DATA)).toBe(ENOSYS);
  });
});

describe('descriptors', () => {
  const DATA_DPL1 = 0x00cfb200;
  const LIMIT = 0xffff;

  /** A page of zeros that the guest maps read-only, so that it may hold descriptors. */
  function descriptorPage(domain: Domain): number {
    const pfn = domain.free;
    domain.protect(pfn, 0x61);
    return pfn;
  }

  it('[pv:set-gdt] takes read-only frames as descriptor pages, gives old ones back, and refuses too many entries', () => {
    const domain = new Domain();
    const pfn = domain.free;
    domain.write(DATA, domain.frame(pfn));
    expect(domain.call(2, DATA, 512)).toBe(EINVAL);
    descriptorPage(domain);
    expect(domain.call(2, DATA, 512)).toBe(0);
    expect(domain.protect(pfn, 0x63)).toBe(EINVAL);
    expect(domain.call(2, DATA, 7169)).toBe(EINVAL);
    expect(domain.call(2, DATA, 0)).toBe(0);
    expect(domain.protect(pfn, 0x63)).toBe(0);
  });

  it('[pv:descriptor-checks] [pv:update-descriptor] raises DPL 0, cuts limits, refuses system descriptors and other frames', () => {
    const domain = new Domain();
    const pfn = descriptorPage(domain);
    domain.write(DATA, domain.frame(pfn));
    expect(domain.call(2, DATA, 512)).toBe(0);
    const at = domain.frame(pfn) * 4096 + 8;
    const put = (low: number, high: number): number => domain.call(10, at, 0, low, high);
    const stored = (): number[] => [domain.read(BASE + 4096 * pfn + 8), domain.read(BASE + 4096 * pfn + 12)];
    expect(put(LIMIT, 0x00cf9200)).toBe(0);
    expect(stored()).toEqual([0x67ff, 0x00cfb200]);
    expect(put(LIMIT, DATA_DPL1)).toBe(0);
    // Not present: whatever it says.
    expect(put(LIMIT, 0x00cf0900)).toBe(0);
    // A present TSS; a call gate to privilege 0; an expand-down segment; a byte-granular segment beyond the end.
    expect(put(0x67, 0x00008900)).toBe(EINVAL);
    expect(put(0xe0080000, 0x00008c00)).toBe(EINVAL);
    expect(put(0xe0190000, 0x0000cc00)).toBe(0);
    expect(put(LIMIT, 0x00cfb600)).toBe(EINVAL);
    expect(put(0xf000ffff, 0xf64fb27f)).toBe(EINVAL);
    expect(domain.call(10, 3 * 4096, 0, LIMIT, DATA_DPL1)).toBe(EINVAL);
    expect(domain.call(10, at + 4, 0, LIMIT, DATA_DPL1)).toBe(EINVAL);
  });

  it('[pv:ldt-demand] maps LDT pages at their first use', () => {
    // lldt is the hypervisor's: mov $7, %eax; mov %eax, %fs; marker 4
    const domain = new Domain([0xb8, 7, 0, 0, 0, 0x8e, 0xe0, 0x0f, 0x1f, 0x80, 0x04, 0x00, 0x56, 0x54]);
    const pfn = domain.free;
    domain.write(BASE + 4096 * pfn, LIMIT, 0x00cff200);
    descriptorPage(domain);
    expect(domain.extended(13, BASE + 4096 * pfn, 1)).toBe(0);
    expect(domain.run()).toMatchObject({ kind: 'marker', code: 4 });
    expect(domain.engine.counters()).toMatchObject({ 'LDT page mapped': 1 });
    expect(domain.protect(pfn, 0x63)).toBe(EINVAL);
    expect(domain.extended(13, 0, 0)).toBe(0);
    expect(domain.protect(pfn, 0x63)).toBe(0);
    expect(domain.extended(13, 0x123, 1)).toBe(EINVAL);
  });
});
