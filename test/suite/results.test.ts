import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { asBaseline, parseRun, readRun, writeBaseline, writeRun } from '../../src/suite/results.ts';
import { jsonSchema } from '../../src/suite/schema.ts';
import { sortedJson } from '../../src/suite/sorted-json.ts';
import { cellOf, figuresOf, runOf } from './figures-of.ts';

const folder = mkdtempSync(join(tmpdir(), 'trivisor-results-'));
afterAll(() => rmSync(folder, { recursive: true }));

const figures = figuresOf({ operations: 10, retired: 100, instructionCycles: 200, events: { vmExit: [10, 507] } });
const run = runOf([cellOf('nano/out@vtx:sandy-bridge', figures), cellOf('nano/in@vtx:sandy-bridge', figures)]);

describe('result files', () => {
  it('come back as they were written, and leave nothing beside them', () => {
    const path = join(folder, 'run.json');
    writeRun(path, run);
    expect(readRun(path)).toEqual(run);
    expect(readdirSync(folder).filter((name) => name.includes('tmp'))).toEqual([]);
  });

  it('ignore unknown fields', () => {
    expect(parseRun(JSON.stringify({ ...run, future: { a: 1 } }), 'x.json')).toEqual(run);
  });

  it.each([
    ['a newer version', { ...run, schemaVersion: 2 }, /format version 2; this trivisor reads versions up to 1/],
    ['a missing part', { ...run, cells: undefined }, /is corrupt: 'cells' is not as expected/],
    ['a wrong type', { ...run, seed: 'x' }, /is corrupt: 'seed' is not as expected/],
  ])('refuse %s with a sentence', (_, document, sentence) => {
    expect(() => parseRun(JSON.stringify(document), 'x.json')).toThrow(sentence);
  });

  it('refuse half a file and a missing one', () => {
    const path = join(folder, 'half.json');
    writeFileSync(path, JSON.stringify(run).slice(0, 100));
    expect(() => readRun(path)).toThrow(
      `The result file '${path}' is corrupt: it is not a JSON document; measure again, or restore it.`,
    );
    expect(() => readRun(join(folder, 'none.json'))).toThrow(/There is no result file/);
  });
});

describe('baselines', () => {
  it('hold nothing of the host, and one event a line in sorted order', () => {
    const path = join(folder, 'baseline.json');
    writeBaseline(path, asBaseline({ ...run, tool: { ...run.tool, git: 'abc' }, command: ['run', 'x'] }));
    const text = readFileSync(path, 'utf8');
    expect(text).not.toContain('abc');
    expect(text.split('\n').some((line) => line.trim() === '"vmExit": {"count": 10, "cycles": 5070}')).toBe(true);
    expect(readRun(path).cells.map((cell) => cell.id)).toEqual([
      'nano/in@vtx:sandy-bridge',
      'nano/out@vtx:sandy-bridge',
    ]);
    expect(text).toBe(sortedJson(JSON.parse(text)));
  });

  it('are not made of failed cells', () => {
    const bad = runOf([
      cellOf('nano/in@vtx:sandy-bridge', figures, { status: 'mismatch', why: 'Its checksum is 1, native 2.' }),
    ]);
    expect(() => asBaseline(bad)).toThrow(/needs every cell to succeed, but nano\/in@vtx:sandy-bridge is 'mismatch'/);
  });
});

describe('the committed JSON schema', () => {
  it('is the one that the source defines', () => {
    expect(JSON.parse(readFileSync('docs/result.schema.json', 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(jsonSchema())),
    );
  });
});
