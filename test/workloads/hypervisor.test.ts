/** A hypervisor as the guest of the native engine: what it expects is in its sources, with the sections of the SDM. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { PROFILES } from '../../src/cost/profiles/index.ts';
import { definition } from '../../src/engines/native/native.ts';

const IMAGE = readFileSync('workloads/images/hypervisor-native.elf');
const WORKLOADS = ['ept', 'errors', 'exits', 'fields', 'injection'];
/** Fewer outcomes than this would mean that the guest passed over most of its cases. */
const LEAST_OUTCOMES = 900;

describe.each(PROFILES)('a hypervisor in the guest on $name', (profile) => {
  const guest = definition.create({
    profile,
    variation: [],
    ramBytes: 64 << 20,
    image: IMAGE,
    commandLine: 'hypervisor run=all',
  });
  let stop = guest.run(1e10);
  while (stop.kind === 'marker') stop = guest.run(1e10);
  const lines = guest.machine.consoleText().trimEnd().split('\n');
  const counts = lines.flatMap((line) => /^(\d+) as the manual says, (\d+) not$/.exec(line) ?? []);
  const skipped = lines.filter((line) => line.includes(' skipped: '));

  test('finds every outcome as the manual says', () => {
    expect(lines.filter((line) => line.includes('should be'))).toEqual([]);
    expect(counts.filter((_, index) => index % 3 === 2).every((missed) => missed === '0')).toBe(true);
    expect(stop).toEqual({ kind: 'exit', status: 0 });
  });

  test('has run everything that the processor has', () => {
    const outcomes = counts.filter((_, index) => index % 3 === 1).reduce((sum, met) => sum + Number(met), 0);
    expect(outcomes).toBeGreaterThan(LEAST_OUTCOMES);
    expect(skipped).toEqual(profile.features.ept ? [] : ['hypervisor/ept skipped: this processor has no EPT']);
    expect(counts.length / 3 + skipped.length).toBe(WORKLOADS.length);
  });
});
