import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { runGuest } from './guest.ts';

const IMAGE = 'isolation-';
const nativeLog = readFileSync('workloads/isolation/native.log', 'utf8');
const xenLog = readFileSync('workloads/isolation/xen.log', 'utf8');

describe('attempts on what is not the guest’s', () => {
  for (const engine of ['native', 'ring-compression', 'vtx']) {
    test(`come out the same under ${engine}`, () => {
      const { console, stop } = runGuest(engine, IMAGE, 'image run=all');
      expect(console).toBe(nativeLog);
      expect(stop).toEqual({ kind: 'exit', status: 0 });
    }, 180_000);
  }

  test('are answered by the ABI under paravirt', () => {
    const { console, stop } = runGuest('paravirt', IMAGE, 'image run=all');
    expect(console).toBe(xenLog);
    expect(stop).toEqual({ kind: 'exit', status: 0 });
  });

  test('end a guest that asks the iret hypercall for ring 0', () => {
    const { console, stop } = runGuest('paravirt', IMAGE, 'image run=isolation/ring-0-frame really=yes');
    expect(console).not.toContain('returned');
    expect(stop.kind).toBe('crash');
  });
});
