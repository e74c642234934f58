import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ESP } from '../../../src/core/state.ts';
import { DomainCrash } from '../../../src/engines/paravirt/domain-crash.ts';
import { BASE, CODE, DATA, Domain, SELF, STACK_TOP } from './domain.ts';
import { expectConsistent } from './recount.ts';

/** Values at which argument checks break: addresses at borders, small numbers, signs, selectors. */
const EDGES = [
  0,
  1,
  2,
  3,
  7,
  8,
  15,
  16,
  24,
  511,
  512,
  4096,
  SELF,
  0x7fffffff,
  0x80000000,
  0xffffffff,
  0xfffffff0,
  0xf57ffffc,
  0xf5800000,
  0xf67ffffc,
  0xf6800000,
  BASE,
  CODE,
  DATA,
  DATA + 0xffc,
  DATA + 0xffd,
  0xe008,
  0xe019,
  0xe021,
];
const argument = fc.oneof(fc.constantFrom(...EDGES), fc.nat(0xffffffff));
const one = fc.record({
  number: fc.nat(40),
  args: fc.array(argument, { minLength: 5, maxLength: 5 }),
  memory: fc.array(argument, { minLength: 12, maxLength: 12 }),
  pointed: fc.boolean(),
});

describe('arguments', () => {
  it('[pv:numbers] never upsets the hypervisor, whatever a guest passes: an error, an effect, or a crash of its own', () => {
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 30 }), (calls) => {
        const domain = new Domain();
        domain.call(24, 7, 0, 0);
        for (const { number, args, memory, pointed } of calls) {
          domain.S[ESP] = STACK_TOP - 64;
          if (domain.engine.translate(DATA) !== null) domain.write(DATA, ...memory);
          // Half of the calls get a pointer that can be read, so that more than the first check is met.
          const passed = pointed ? [args[0]! & 31, DATA, ...args.slice(2)] : args;
          try {
            domain.call(number, ...passed);
            domain.call(number, DATA, 1, 0, SELF);
          } catch (error) {
            expect(error).toBeInstanceOf(DomainCrash);
            break;
          }
          if (domain.xen.waiting) break;
        }
        expectConsistent(domain);
        expect(domain.cpl).toBeGreaterThan(0);
      }),
      { numRuns: 30 },
    );
  });
});
