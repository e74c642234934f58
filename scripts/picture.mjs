// Draws docs/picture.svg from the output of a real run: node scripts/picture.mjs [run options]
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

const LINE = 15;
const CHARACTER = 7.25;
const MARGIN = 14;

const options = process.argv.slice(2);
const command = ['run', ...(options.length > 0 ? options : ['nano', '-p', 'pentium4-672'])];
const output = execFileSync(process.execPath, ['dist/cli/main.js', ...command, '--no-progress'], {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'ignore'],
});
const lines = [`$ npx trivisor ${command.join(' ')}`, '', ...wrapped(output.trimEnd().split('\n'))];
const width = Math.ceil(Math.max(...lines.map((line) => line.length)) * CHARACTER + 2 * MARGIN);
const height = lines.length * LINE + 2 * MARGIN;
const escapeXml = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const text = lines.map(
  (line, index) =>
    `<text x="${MARGIN}" y="${MARGIN + (index + 0.75) * LINE}" xml:space="preserve">${escapeXml(line)}</text>`,
);
writeFileSync(
  'docs/picture.svg',
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<rect width="100%" height="100%" rx="6" fill="#16181d"/>
<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="12" fill="#d8dce6">
${text.join('\n')}
</g>
</svg>
`,
);

/** Long sentences break at words; tables and charts stay as they are. */
function wrapped(all, limit = 150) {
  return all.flatMap((line) => {
    if (line.length <= limit || /[│┼|┤]/.test(line)) return [line];
    const parts = [''];
    for (const word of line.split(' ')) {
      if (`${parts.at(-1)} ${word}`.length > limit) parts.push(`  ${word}`);
      else parts[parts.length - 1] += parts.at(-1) === '' ? word : ` ${word}`;
    }
    return parts;
  });
}
