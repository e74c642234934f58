import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { isOneSentence, trivisor } from '../support/program.ts';
import { GUESTS, tinyImage } from '../support/tiny-image.ts';

const folder = mkdtempSync(join(tmpdir(), 'trivisor-refusals-'));
afterAll(() => rmSync(folder, { recursive: true }));

const newer = join(folder, 'newer.json');
const corrupt = join(folder, 'corrupt.json');
const text = join(folder, 'text.elf');
writeFileSync(newer, JSON.stringify({ schemaVersion: 99 }));
writeFileSync(corrupt, '{"schemaVersion": 1, "cells": [');
const wide = join(folder, 'wide.elf');
const half = join(folder, 'half.elf');
const image = tinyImage(GUESTS.good);
writeFileSync(text, 'This is no guest image.');
writeFileSync(half, image.subarray(0, 84));
writeFileSync(wide, image.with(4, 2));

describe('bad input gets one sentence and exit code 2', () => {
  it.each([
    ['a command', ['rnu'], "There is no command 'rnu'", "Did you mean 'run'?"],
    ['an engine', ['run', '-e', 'navite'], "There is no engine 'navite'", "Did you mean 'native'?"],
    ['a variation', ['run', '-e', 'native~fast'], "The engine 'native' has no variation '~fast'", ''],
    ['a profile', ['run', '-p', 'sandybridge'], "There is no profile 'sandybridge'", "Did you mean 'sandy-bridge'?"],
    [
      'a filter',
      ['run', 'nano/sysacll'],
      "The filter 'nano/sysacll' matches no workload",
      "Did you mean 'nano/syscall'?",
    ],
    ['a flag', ['run', '--enigne', 'vtx'], "'trivisor run' has no flag --enigne", "Did you mean '--engine'?"],
    [
      "another command's flag",
      ['list', '--jobs', '2'],
      "'trivisor list' has no flag --jobs",
      'It belongs to other commands.',
    ],
    ['a value', ['run', '--jobs', 'many'], 'Expected --jobs to be a whole number of at least 1', "got 'many'"],
    ['a format', ['run', '--format', 'xml'], 'Expected --format to be table, md, csv, json, jsonl', "got 'xml'"],
    ['a missing value', ['run', '--format'], 'The flag --format needs a value', '--format FORMAT'],
    [
      'a parameter',
      ['run', 'nano/syscall', '-P', 'metod=int80'],
      "None of the chosen workloads has a parameter 'metod'",
      'method',
    ],
    [
      "a parameter's value",
      ['run', 'nano/syscall', '-P', 'method=int81'],
      'nano/syscall does not take method=int81',
      "Did you mean 'int80'?",
    ],
    ['an operation count', ['run', 'nano/syscall', '-P', 'ops=0'], 'Expected ops to be a whole number', "got '0'"],
    ['a shard', ['run', '--shard', '3/2'], 'Expected --shard to be I/N', "got '3/2'"],
    ['a timeout', ['run', '--timeout', 'soon'], 'Expected --timeout to be a number of cycles', "got 'soon'"],
    ['a newer result', ['compare', newer, newer], 'has format version 99; this trivisor reads versions up to 1', ''],
    ['a corrupt result', ['compare', corrupt, corrupt], 'is corrupt: it is not a JSON document', ''],
    [
      'a missing result',
      ['compare', 'nowhere.json', 'nowhere.json'],
      "There is no result file and no run called 'nowhere.json'",
      '',
    ],
    [
      'an image that is none',
      ['run', '--image', text],
      'cannot be read as a guest image: the image (23 bytes) is not an ELF file.',
      '',
    ],
    ['a 64-bit image', ['run', '--image', wide], 'the image is not a 32-bit little-endian ELF file; build', '-m32'],
    ['half an image', ['run', '--image', half], 'the ELF image ends inside its segment 0: it has 84 bytes and', ''],
    ['a missing image', ['run', '--image', 'nowhere.elf'], "The guest image 'nowhere.elf' cannot be read (ENOENT)", ''],
    [
      'a workload to describe',
      ['describe', 'nano/sysacll'],
      "no workload, engine or profile called 'nano/sysacll'",
      'nano/syscall',
    ],
    [
      'a cell without an engine',
      ['explain', 'nano/syscall'],
      "Expected the cell's engine after '@'",
      'nano/syscall@vtx',
    ],
    [
      'a filter of the check',
      ['check', 'nano/sysacll'],
      "The filter 'nano/sysacll' matches no workload of the baseline.",
      "Did you mean 'nano/syscall'?",
    ],
    [
      'an engine the baseline lacks',
      ['check', 'nano/in', '-e', 'vtx~noept'],
      "The baseline has no cell of the engine 'vtx~noept'",
      '',
    ],
    ['a corrupt result to explain', ['explain', 'nano/in@vtx', '--from', corrupt], 'is corrupt', 'measure again'],
    ['a newer result to check', ['check', '--from', newer], 'has format version 99', ''],
    ["a baseline's name", ['baseline', 'save', '../x'], "Expected a baseline's name", "got '../x'"],
  ])('%s', async (_, args, what, hint) => {
    const result = await trivisor(folder, args);
    expect(result.err).toContain(what);
    expect(result.err).toContain(hint);
    expect(isOneSentence(result)).toBe(true);
    expect(result.code).toBe(2);
  });

  it('a baseline that was asked for and is missing: 5', async () => {
    const result = await trivisor(folder, ['check', '--against', '@nowhere']);
    expect(result.err).toContain("There is no baseline 'nowhere'");
    expect(result.code).toBe(5);
    expect(isOneSentence(result)).toBe(true);
  });

  it.each([
    ['newer', newer, 'has format version 99'],
    ['corrupt', corrupt, 'is corrupt'],
    ['missing', 'nowhere.json', "There is no result file and no run called 'nowhere.json'"],
  ])('a baseline file that is %s: 5', async (_, file, what) => {
    const result = await trivisor(folder, ['check', '--against', file]);
    expect(result.err).toContain(what);
    expect(result.code).toBe(5);
    expect(isOneSentence(result)).toBe(true);
  });

  it.each([
    ['run', ['run', 'nano/callret', '-o', join(text, 'result.json')]],
    ['run --save', ['run', 'nano/callret', '--save', 'kept']],
    ['baseline save', ['baseline', 'save', 'kept']],
  ])('a place that cannot be written to, before anything is measured: %s', async (_, args) => {
    const own = mkdtempSync(join(tmpdir(), 'trivisor-unwritable-'));
    // A file where the folder should be refuses everyone, root too.
    writeFileSync(join(own, 'results'), '');
    const result = await trivisor(own, args);
    expect(result.err).toMatch(
      /cannot be written \((ENOTDIR|EEXIST)\); make its folder writable, or work in another one\.$/,
    );
    expect(result.code).toBe(1);
    expect(isOneSentence(result)).toBe(true);
    expect(readdirSync(own)).toEqual(['results']);
    rmSync(own, { recursive: true });
  });

  it('leaves nothing behind', () => {
    expect(readdirSync(folder).sort()).toEqual(['corrupt.json', 'half.elf', 'newer.json', 'text.elf', 'wide.elf']);
  });
});

describe('where options come from', () => {
  it('a flag beats the environment, which beats the config file', async () => {
    const own = mkdtempSync(join(tmpdir(), 'trivisor-config-'));
    const plan = async (args: string[], env = {}) =>
      (await trivisor(own, ['run', 'nano/syscall', '--dry-run', ...args], env)).out;
    writeFileSync(join(own, 'trivisor.config.json'), JSON.stringify({ profile: 'core2', engine: ['native'] }));
    expect(await plan([])).toContain('@native:core2');
    expect(await plan([], { TRIVISOR_PROFILE: 'nehalem' })).toContain('@native:nehalem');
    expect(await plan(['-p', 'sandy-bridge'], { TRIVISOR_PROFILE: 'nehalem' })).toMatch(
      /^\S+@native:sandy-bridge ops=\d+$/,
    );
    writeFileSync(join(own, 'trivisor.config.json'), JSON.stringify({ profil: 'core2' }));
    const refused = await trivisor(own, ['run']);
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.err).toContain("sets 'profil', which is no option. Did you mean 'profile'?");
    rmSync(own, { recursive: true });
  });
});

describe('help', () => {
  it('lists every command, and each command its options', async () => {
    const overview = await trivisor(folder, ['--help']);
    expect(overview.code).toBe(0);
    for (const name of ['run', 'compare', 'check', 'baseline', 'explain', 'list', 'describe', 'validate']) {
      expect(overview.out).toMatch(new RegExp(`^  ${name} `, 'm'));
      expect((await trivisor(folder, [name, '--help'])).out).toContain(`trivisor ${name}`);
    }
    expect((await trivisor(folder, ['run', '--help'])).out).toContain('-e, --engine NAME');
  });

  it('comes with exit code 2 when no command was given', async () => {
    expect((await trivisor(folder, [])).code).toBe(2);
  });
});
