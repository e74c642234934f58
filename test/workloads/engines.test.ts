import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ENGINES } from '../../src/engines/registry.ts';
import { runGuest } from './guest.ts';

const { quick } = JSON.parse(readFileSync('workloads/images/checksums.json', 'utf8')) as {
  quick: Record<string, { checksum?: string }>;
};

for (const { name } of ENGINES) {
  test(`${name} gives the checksums that QEMU gave`, () => {
    const { console, stop } = runGuest(name, '', 'image run=all quick');
    expect(stop).toEqual({ kind: 'exit', status: 0 });
    const results = [...console.matchAll(/^(\S+) ops=\d+ checksum=([0-9a-f]{8})$/gm)];
    expect(results.length).toBeGreaterThan(20);
    for (const [, id = '', checksum] of results) {
      // Where QEMU has nothing to compare with, the other engines have: nano/hypercall.
      if (quick[id]?.checksum !== undefined) expect(checksum, id).toBe(quick[id].checksum);
    }
  }, 180_000);
}
