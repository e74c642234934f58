/**
 * The catalogue of workloads is data inside the guest image, so it has one source: a text record per workload in the
 * ELF section `.trivisor.catalogue`.
 */
import { ImageError, parseElf, sectionData } from '../machine/elf.ts';
import { EXIT, SuiteError } from './failure.ts';

export interface WorkloadParameter {
  readonly name: string;
  readonly default: string;
  readonly choices: readonly string[];
}

export interface Workload {
  /** `group/name`. */
  readonly id: string;
  /** One sentence: what one operation is. */
  readonly operation: string;
  readonly defaultOps: number;
  readonly quickOps: number;
  readonly tags: readonly string[];
  readonly parameters: readonly WorkloadParameter[];
  /** Why it cannot run under paravirt, or empty. */
  readonly skipUnderParavirt: string;
}

export const CATALOGUE_SECTION = '.trivisor.catalogue';

/** Reads the catalogue of one image. An image without the section has an empty catalogue. */
export function readCatalogue(image: Uint8Array, imageName: string): Workload[] {
  let section: Uint8Array | null;
  try {
    section = sectionData(parseElf(image), CATALOGUE_SECTION);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw new SuiteError(`'${imageName}' cannot be read as a guest image: ${uncapital(error.message)}`);
  }
  if (section === null) return [];
  return parseCatalogue(new TextDecoder().decode(section), imageName);
}

function uncapital(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}

/** Parses the section's text. Records may be padded with NUL bytes, as linkers align them. */
export function parseCatalogue(text: string, imageName: string): Workload[] {
  const workloads = new Map<string, Workload>();
  for (const line of text.replaceAll('\0', '').split('\n')) {
    if (line === '') continue;
    const workload = parseRecord(line, imageName);
    if (workloads.has(workload.id)) throw broken(imageName, `lists ${workload.id} twice`);
    workloads.set(workload.id, workload);
  }
  return [...workloads.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function parseRecord(line: string, imageName: string): Workload {
  const [id = '', operation = '', defaultOps, quickOps, tags = '', parameters = '', skip = ''] = line.split('\t');
  const counts = [Number(defaultOps), Number(quickOps)];
  if (!/^[a-z0-9-]+(\/[a-z0-9-]+)+$/.test(id)) throw broken(imageName, `has a workload called '${id}'`);
  if (!counts.every((count) => Number.isSafeInteger(count) && count > 0)) {
    throw broken(imageName, `gives ${id} the operation counts '${defaultOps}' and '${quickOps}'`);
  }
  return {
    id,
    operation,
    defaultOps: counts[0] as number,
    quickOps: counts[1] as number,
    tags: tags.split(',').filter((tag) => tag !== ''),
    parameters: parameters
      .split(',')
      .filter((text) => text !== '')
      .map((text) => parseParameter(text, id, imageName)),
    skipUnderParavirt: skip,
  };
}

function parseParameter(text: string, id: string, imageName: string): WorkloadParameter {
  const match = /^([a-z0-9_-]+)=([^:]+):(.+)$/.exec(text);
  const choices = match?.[3]?.split('|') ?? [];
  if (match === null || !choices.includes(match[2] as string))
    throw broken(imageName, `gives ${id} the parameter '${text}'`);
  return { name: match[1] as string, default: match[2] as string, choices };
}

function broken(imageName: string, what: string): SuiteError {
  return new SuiteError(`The catalogue inside ${imageName} ${what}, which is not a valid record.`, EXIT.cellFailed);
}
