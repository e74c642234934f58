/**
 * Runs the system test image on Trivisor and, if it is installed, on QEMU, and prints how many cases are as the SDM
 * demands and which are not.
 *
 *   node conformance/system/run.mjs            exit status 1 if anything differs that the table does not name
 *   node conformance/system/run.mjs --update   write expected.log, and bring the table's outcomes up to date
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DEFAULT_PROFILE } from '../../dist/cost/profiles/index.js';
import { definition } from '../../dist/engines/native/native.js';
import { compare, NOTHING, parseExpected, parseLog } from './log.mjs';
import { qemuVersion, runOnQemu, runOnTrivisor } from './machines.mjs';

const EXPECTED = fileURLToPath(new URL('./expected.log', import.meta.url));
const TABLE = fileURLToPath(new URL('./known-differences.json', import.meta.url));
/** Where `--update` puts what no row has yet. */
const UNEXPLAINED = 'not explained yet';

function update(table, logs) {
  const expected = new Map(parseExpectedOrNone());
  for (const log of Object.values(logs)) for (const [name, { demand }] of log) expected.set(name, demand);
  const known = new Set(Object.values(logs).flatMap((log) => [...log.keys()]));
  for (const name of expected.keys()) if (!known.has(name)) expected.delete(name);
  writeFileSync(EXPECTED, [...expected].map(([name, demand]) => `${name}: ${demand}\n`).join(''));
  for (const [machine, log] of Object.entries(logs)) table[machine].rows = updatedRows(table[machine], expected, log);
  writeFileSync(TABLE, `${JSON.stringify(table, null, 2)}\n`);
  return expected;
}

function parseExpectedOrNone() {
  try {
    return parseExpected(readFileSync(EXPECTED, 'utf8'));
  } catch {
    return [];
  }
}

/** The rows with the outcomes of now; differences that no row names come in the last one. */
function updatedRows({ rows, notRun }, expected, log) {
  const left = new Map();
  for (const [name, demand] of expected) {
    const outcome = log.get(name)?.outcome ?? NOTHING;
    if (outcome !== demand && !notRun.some(({ group }) => name.startsWith(`${group}/`))) left.set(name, outcome);
  }
  const kept = rows.map((row) => {
    const cases = {};
    for (const name of Object.keys(row.cases)) {
      if (!left.has(name)) continue;
      cases[name] = left.get(name);
      left.delete(name);
    }
    return { ...row, cases };
  });
  if (left.size > 0) kept.push({ why: UNEXPLAINED, sdm: '', cases: Object.fromEntries(left) });
  return kept.filter(({ cases }) => Object.keys(cases).length > 0);
}

function report(machine, expected, log, { rows, notRun }) {
  const asked = new Map([...expected].filter(([name]) => !notRun.some(({ group }) => name.startsWith(`${group}/`))));
  const result = compare(asked, log, rows);
  console.log(
    `${machine}: ${result.cases} cases, ${result.same} as the SDM demands, ${result.known} known differences, ` +
      `${result.unknown.length} unknown, ${result.stale.length} entries of the table out of date`,
  );
  for (const { group, why } of notRun) console.log(`  not run: ${group} (${why})`);
  for (const { why, sdm, cases } of rows) console.log(`  ${Object.keys(cases).length}: ${why} (SDM ${sdm})`);
  for (const line of result.unknown) console.log(`  UNKNOWN ${line}`);
  for (const line of result.stale) console.log(`  OUT OF DATE ${line}`);
  return result.unknown.length === 0 && result.stale.length === 0;
}

const table = JSON.parse(readFileSync(TABLE, 'utf8'));
const logs = { trivisor: parseLog(runOnTrivisor({ definition, profile: DEFAULT_PROFILE })) };
const version = qemuVersion();
if (version === null) console.log('QEMU is not installed (qemu-system-i386): its half is left out.');
else if (version !== table.qemu.version) console.log(`QEMU is ${version}; the table is for ${table.qemu.version}.`);
else logs.qemu = parseLog(runOnQemu());
const expected = process.argv.includes('--update')
  ? update(table, logs)
  : parseExpected(readFileSync(EXPECTED, 'utf8'));
const good = Object.entries(logs).map(([machine, log]) => report(machine, expected, log, table[machine]));
if (good.includes(false)) process.exitCode = 1;
