import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { runGuest } from './guest.ts';

const IMAGE = 'isolation-';
const nativeLog = readFileSync('workloads/isolation/native.log', 'utf8');
const xenLog = readFileSync('workloads/isolation/xen.log', 'utf8');

/** The lines of one workload, without its result line. */
function section(log: string, id: string): string[] {
  const lines: string[] = [];
  for (const line of log.split('\n')) {
    if (line.startsWith(`${id} ops=`)) return lines;
    if (/^isolation\/\S+ (ops=|skipped)/.test(line)) lines.length = 0;
    else lines.push(line);
  }
  throw new Error(`The log has no ${id}.`);
}

describe('attempts on what is not the guest’s', () => {
  for (const engine of ['native', 'vtx']) {
    test(`come out the same under ${engine}`, () => {
      const { console, stop } = runGuest(engine, IMAGE, 'image run=all');
      expect(console).toBe(nativeLog);
      expect(stop).toEqual({ kind: 'exit', status: 0 });
    });
  }

  for (const id of ['probe', 'user-mode', 'own-top', 'tables', 'what-shows']) {
    test(`come out the same under ring-compression: ${id}`, () => {
      const { console } = runGuest('ring-compression', IMAGE, `image run=isolation/${id}`);
      expect(section(console, `isolation/${id}`)).toEqual(section(nativeLog, `isolation/${id}`));
    });
  }

  // Its shadow descriptors are cut where the monitor begins, and it does not carry out every gate: it may refuse more.
  for (const id of ['segments', 'frames', 'call-gate']) {
    test(`give no more than natively under ring-compression: ${id}`, () => {
      const { console, stop } = runGuest('ring-compression', IMAGE, `image run=isolation/${id}`);
      const expected = section(nativeLog, `isolation/${id}`);
      const lines = console.split('\n').filter((line) => line !== '' && !line.startsWith('isolation/'));
      for (const [index, line] of lines.entries()) {
        if (line !== expected[index]) expect(line).toMatch(/: vector 1[123] error [0-9a-f]+$/);
      }
      expect(['exit', 'crash']).toContain(stop.kind);
    });
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
