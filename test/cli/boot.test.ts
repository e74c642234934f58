/** `trivisor boot`, with kernels of a few instructions. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { isOneSentence, trivisor } from '../support/program.ts';
import { GUESTS, tinyImage } from '../support/tiny-image.ts';
import { tinyLinux } from '../support/tiny-linux.ts';

const folder = mkdtempSync(join(tmpdir(), 'trivisor-boot-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, data: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, data);
  return path;
}
const linux = file('vmlinuz', tinyLinux());
const initrd = file('initrd', new Uint8Array(5000));
const endless = file('endless.elf', tinyImage(GUESTS.endless));

/** The lines of the report that must be equal in two boots. */
function figures(stderr: string): string[] {
  return stderr
    .split('\n')
    .filter((line) => /virtual time|idle|state hash|instructions/.test(line))
    .map(exact);
}
/** Without what the host's speed goes into. */
function exact(line: string): string {
  return line.replace(/\(.*MIPS\)/, '');
}

describe.each(['native', 'vtx', 'vtx~noept'])('on %s', (engine) => {
  it('a Linux kernel finds its boot parameters, and two boots are the same', async () => {
    const args = ['boot', '--kernel', linux, '--initrd', initrd, '--append', 'quiet x=1', '-e', engine];
    const [first, second] = await Promise.all([trivisor(folder, args), trivisor(folder, args)]);
    expect(first.code).toBe(0);
    expect(first.out).toBe('quiet x=1');
    expect(first.err).toContain('exited with status 0');
    expect(figures(first.err)).toHaveLength(4);
    expect(figures(first.err)).toEqual(figures(second.err));
  });
});

it('ends at the limit of virtual time, with exit code 1', async () => {
  const { code, err } = await trivisor(folder, ['boot', '--kernel', endless, '--limit', '1M']);
  expect(code).toBe(1);
  expect(err).toContain('reached its limit of 1000000 cycles');
});

it('ends when the guest has printed the text, with exit code 0', async () => {
  const { code, err } = await trivisor(folder, ['boot', '--kernel', linux, '--append', 'ready', '--stop-at', 'read']);
  expect(code).toBe(0);
  expect(err).toContain("printed 'read'");
});

describe('bad input gets one sentence and exit code 2', () => {
  it.each([
    ['no kernel', [], 'Expected a kernel'],
    ['a kernel as positional', [linux], 'Expected the kernel after --kernel'],
    ['a missing kernel', ['--kernel', join(folder, 'none')], 'cannot be read (ENOENT)'],
    ['a missing RAM disk', ['--kernel', linux, '--initrd', join(folder, 'none')], 'cannot be read (ENOENT)'],
    ['a kernel cut short', ['--kernel', file('cut', tinyLinux().slice(0, 700))], 'is cut short'],
    ['no kernel at all', ['--kernel', file('text', new Uint8Array(100))], 'no multiboot 1 header'],
    ['too little RAM', ['--kernel', file('big', tinyLinux({ initSize: 1 << 28 })), '--ram', '64'], 'needs 257 MB'],
    ['uneven RAM', ['--kernel', linux, '--ram', '65'], 'a multiple of 4'],
    ['a Linux kernel for paravirt', ['--kernel', linux, '-e', 'paravirt'], 'not an ELF file'],
    ['two engines', ['--kernel', linux, '-e', 'native,vtx'], 'Expected one --engine'],
  ])('%s', async (_, args, sentence) => {
    const result = await trivisor(folder, ['boot', ...args]);
    expect(result.code).toBe(2);
    expect(result.err).toContain(sentence);
    expect(isOneSentence(result)).toBe(true);
  });
});
