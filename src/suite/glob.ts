/** Filters over `group/name`: `*` matches within a name, `**` anything, `?` one character, `{a,b}` either. */
export function globPattern(glob: string): RegExp {
  let source = '';
  let depth = 0;
  for (let index = 0; index < glob.length; index++) {
    const char = glob[index] as string;
    if (char === '*' && glob[index + 1] === '*') {
      source += '.*';
      index++;
    } else if (char === '*') source += '[^/]*';
    else if (char === '?') source += '[^/]';
    else if (char === '{') {
      source += '(?:';
      depth++;
    } else if (char === '}' && depth > 0) {
      source += ')';
      depth--;
    } else if (char === ',' && depth > 0) source += '|';
    else source += char.replace(/[.+^$()|[\]\\]/g, '\\$&');
  }
  return new RegExp(`^(?:${source}${')'.repeat(depth)})$`);
}

/**
 * Whether a filter selects a workload. Besides the whole id, a group selects what is in it (`nano`, `macro/compute`)
 * and a last name selects itself (`syscall`).
 */
export function filterMatches(filter: string, id: string): boolean {
  const pattern = globPattern(filter.replace(/\/$/, ''));
  if (pattern.test(id)) return true;
  const parts = id.split('/');
  if (pattern.test(parts.at(-1) as string)) return true;
  return parts.some((_, index) => index > 0 && pattern.test(parts.slice(0, index).join('/')));
}
