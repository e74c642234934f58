import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cellName, parseCellName } from '../../src/suite/cell-name.ts';
import { filterMatches, globPattern } from '../../src/suite/glob.ts';
import { editDistance, nearest } from '../../src/suite/nearest.ts';

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);

describe('the name of a cell', () => {
  it('parses back to its parts', () => {
    const params = fc.dictionary(word, word, { maxKeys: 3 });
    fc.assert(
      fc.property(
        word,
        word,
        params,
        word,
        fc.array(word, { maxLength: 2 }),
        word,
        (group, name, given, engine, switches, profile) => {
          const key = {
            workload: `${group}/${name}`,
            params: { ...given },
            engine: [engine, ...switches].join('~'),
            profile,
          };
          expect(parseCellName(cellName(key))).toEqual(key);
        },
      ),
    );
  });

  it('may leave engine and profile out', () => {
    expect(parseCellName('nano/in')).toEqual({ workload: 'nano/in', params: {}, engine: null, profile: null });
    expect(parseCellName('nano/in@vtx')).toMatchObject({ engine: 'vtx', profile: null });
    expect(parseCellName('nano/in{batch}')).toBeNull();
  });
});

describe('filters', () => {
  it.each([
    ['nano/*', 'nano/in', true],
    ['nano/*', 'macro/compute/sieve', false],
    ['nano', 'nano/in', true],
    ['macro/compute', 'macro/compute/sieve', true],
    ['sieve', 'macro/compute/sieve', true],
    ['s*', 'nano/syscall', true],
    ['macro/*', 'macro/compute/sieve', true],
    ['**/sieve', 'macro/compute/sieve', true],
    ['{nano/in,nano/out}', 'nano/out', true],
    ['nano/i', 'nano/in', false],
    ['nano/i?', 'nano/in', true],
    ['n.no/in', 'nano/in', false],
  ])('%s on %s: %s', (filter, id, expected) => {
    expect(filterMatches(filter, id)).toBe(expected);
  });

  it('treats every string without wildcards as itself', () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !/[*?{}]/.test(text)),
        (text) => {
          expect(globPattern(text).test(text)).toBe(true);
          expect(globPattern(text).test(`${text}x`)).toBe(false);
        },
      ),
    );
  });
});

describe('near misses', () => {
  it('measures edits symmetrically, and zero only for equal strings', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b) === 0).toBe(a === b);
      }),
    );
  });

  it('finds the name that was meant, and nothing for nonsense', () => {
    expect(nearest('navite', ['native', 'paravirt', 'vtx'])).toBe('native');
    expect(nearest('nano/sysacll', ['nano/syscall', 'nano/in'])).toBe('nano/syscall');
    expect(nearest('sysacll', ['nano/syscall', 'nano/in'])).toBe('nano/syscall');
    expect(nearest('zzzzzzzz', ['native', 'paravirt', 'vtx'])).toBeNull();
  });
});
