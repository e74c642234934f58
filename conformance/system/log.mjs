/**
 * The system test image's log against the SDM's demands (`expected.log`) and against the table of known differences.
 * A line of the image is `group/name: outcome [ok]` or `group/name: outcome [NOT AS EXPECTED: demand; SDM section]`.
 */

/** What stands for the outcome of a case that printed no line: the machine stopped before. */
export const NOTHING = '(nothing)';

const LINE = /^(?<name>.*?): (?<outcome>.*?) ?\[(?:(?<ok>ok)|NOT AS EXPECTED: (?<demand>.*); SDM (?<sdm>.*))\]$/;

/** The cases of a log, by name. Throws on a name that comes twice and on a line that is not the image's. */
export function parseLog(text) {
  const cases = new Map();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('end: ')) continue;
    const match = LINE.exec(line);
    // The last line of a machine that stopped may be cut off.
    if (match === null) continue;
    const { name, outcome, ok, demand } = match.groups;
    if (cases.has(name)) throw new Error(`Two cases are called '${name}'.`);
    cases.set(name, { outcome, demand: ok === undefined ? demand : outcome });
  }
  return cases;
}

/** `expected.log`: a case a line, `name: demand`. */
export function parseExpected(text) {
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]),
  );
}

/**
 * Compares what a machine printed with the demands. `known` is a list of `{ why, sdm, cases: { name: outcome } }`.
 * `unknown` are differences that the list does not have, `stale` entries of the list that are no differences.
 */
export function compare(expected, log, known) {
  const listed = new Map(known.flatMap((row) => Object.entries(row.cases)));
  const result = { cases: expected.size, same: 0, known: 0, unknown: [], stale: [] };
  for (const [name, demand] of expected) {
    const outcome = log.get(name)?.outcome ?? NOTHING;
    const entry = listed.get(name);
    if (outcome === demand) {
      result.same++;
      if (entry !== undefined) result.stale.push(`${name}: ${entry}`);
    } else if (outcome === entry) {
      result.known++;
    } else {
      result.unknown.push(`${name}: ${outcome} [demanded: ${demand}]`);
    }
  }
  for (const name of listed.keys()) if (!expected.has(name)) result.stale.push(`${name}: there is no such case`);
  for (const name of log.keys()) if (!expected.has(name)) result.unknown.push(`${name}: not in expected.log`);
  return result;
}
