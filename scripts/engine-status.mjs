// Writes docs/engines/*.md: what each engine has, line by line, from the tests that prove it.
//
// A line of docs/engines/lines.json is proved by tests that carry its id in their title, such as `[rc:chaining]`.
// No passing test: "not yet". Passing tests: "partly", with what is missing in the line's `lacks`; "have" needs
// `"complete": true` as well, because one test does not make a mechanism whole. A failing tagged test makes its line "not yet".
//
//   node scripts/engine-status.mjs           run the tagged tests and write the files
//   node scripts/engine-status.mjs --check   the same, but fail if a file would change
//   ... --report FILE                        take the results of this vitest JSON report instead of running the tests
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ENGINES = { rc: 'ring-compression', pv: 'paravirt', vtx: 'vtx' };
const TAG = /\[((?:rc|pv|vtx):[a-z0-9-]+)\]/g;

/** Titles of tests by tag, with whether all of them pass. */
function tagsOf(results) {
  const tags = new Map();
  for (const file of results.testResults) {
    for (const test of file.assertionResults) {
      if (test.status !== 'passed' && test.status !== 'failed') continue;
      for (const [, tag] of test.fullName.matchAll(TAG)) {
        const entry = tags.get(tag) ?? { titles: [], passing: true };
        entry.titles.push(test.title.replaceAll(TAG, '').trim());
        entry.passing &&= test.status === 'passed';
        tags.set(tag, entry);
      }
    }
  }
  return tags;
}

/** Runs the tests that carry tags. */
function taggedTests() {
  const given = process.argv.indexOf('--report');
  if (given > 0) return tagsOf(JSON.parse(readFileSync(process.argv[given + 1], 'utf8')));
  const folder = mkdtempSync(join(tmpdir(), 'engine-status-'));
  const report = join(folder, 'report.json');
  try {
    const args = [
      'node_modules/vitest/vitest.mjs',
      'run',
      '--reporter=json',
      `--outputFile=${report}`,
      '-t',
      '\\[(rc|pv|vtx):',
    ];
    try {
      execFileSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    } catch {
      // Failing tests are part of the answer; the report says which.
    }
    return tagsOf(JSON.parse(readFileSync(report, 'utf8')));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function statusOf(line, proof) {
  if (proof === undefined || !proof.passing) return 'not yet';
  return line.complete === true ? 'have' : 'partly';
}

function page(engine, lines, tags) {
  const counts = { have: 0, partly: 0, 'not yet': 0 };
  const body = [];
  let group = '';
  for (const line of lines) {
    if (line.group !== group) {
      group = line.group;
      body.push('', `## ${group}`, '', '| line | status | proved by | missing |', '| --- | --- | --- | --- |');
    }
    const proof = tags.get(line.id);
    const status = statusOf(line, proof);
    counts[status]++;
    const shown =
      status === 'not yet'
        ? ''
        : proof.titles.slice(0, 3).join('; ') + (proof.titles.length > 3 ? `; ${proof.titles.length - 3} more` : '');
    const cells = [`\`${line.id}\` ${line.text}`, status, shown, status === 'have' ? '' : (line.lacks ?? '')];
    body.push(`| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`);
  }
  const summary = `${counts.have} have, ${counts.partly} partly, ${counts['not yet']} not yet, of ${lines.length} lines.`;
  const intro = "Made by `npm run engine-status` from the tests that carry each line's id; do not edit.";
  return `# ${engine}: what is there\n\n${intro}\n\n${summary}\n${body.join('\n')}\n`;
}

const lines = JSON.parse(readFileSync('docs/engines/lines.json', 'utf8'));
const tags = taggedTests();
const unknown = [...tags.keys()].filter((tag) => !lines.some((line) => line.id === tag));
let failed = unknown.length > 0;
if (failed) console.error(`Tests carry tags that docs/engines/lines.json does not list: ${unknown.join(', ')}.`);
for (const line of lines) {
  if (line.complete === true && tags.get(line.id)?.passing !== true) {
    console.error(`${line.id} claims to be complete, but no passing test carries its tag.`);
    failed = true;
  }
}
for (const [prefix, engine] of Object.entries(ENGINES)) {
  const path = `docs/engines/${engine}.md`;
  const text = page(
    engine,
    lines.filter((line) => line.id.startsWith(`${prefix}:`)),
    tags,
  );
  if (process.argv.includes('--check')) {
    let old = '';
    try {
      old = readFileSync(path, 'utf8');
    } catch {}
    if (old !== text) {
      console.error(`${path} is not what the tests prove; run 'npm run engine-status'.`);
      failed = true;
    }
  } else writeFileSync(path, text);
}
process.exitCode = failed ? 1 : 0;
