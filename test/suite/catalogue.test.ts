import { describe, expect, it } from 'vitest';
import { parseCatalogue, readCatalogue } from '../../src/suite/catalogue.ts';
import { SuiteError } from '../../src/suite/failure.ts';

const RECORD = 'nano/ptemod\tone store to a live entry\t20000\t2000\tkernel,mmu\tbatch=1:1|8|64,flush=no:no|yes\t';

describe('the catalogue', () => {
  it('reads a record', () => {
    expect(parseCatalogue(`\0\0${RECORD}\n\0`, 'a.elf')).toEqual([
      {
        id: 'nano/ptemod',
        operation: 'one store to a live entry',
        defaultOps: 20000,
        quickOps: 2000,
        tags: ['kernel', 'mmu'],
        parameters: [
          { name: 'batch', default: '1', choices: ['1', '8', '64'] },
          { name: 'flush', default: 'no', choices: ['no', 'yes'] },
        ],
        skipUnderParavirt: '',
      },
    ]);
  });

  it.each([
    ['a bad id', RECORD.replace('nano/ptemod', 'ptemod')],
    ['no operation count', RECORD.replace('20000', '')],
    ['a default that is no choice', RECORD.replace('batch=1:', 'batch=2:')],
    ['the same id twice', `${RECORD}\n${RECORD}`],
  ])('refuses %s', (_, text) => {
    expect(() => parseCatalogue(`${text}\n`, 'a.elf')).toThrow(/The catalogue inside a\.elf .*\./);
  });

  it('refuses a file that is no ELF file with a sentence', () => {
    expect(() => readCatalogue(new TextEncoder().encode('hello'.repeat(20)), 'a.elf')).toThrow(SuiteError);
  });
});
