/**
 * A cell's fresh process. Reads one task on stdin, boots its engine once and writes one JSON line per cell to stdout.
 * Anything that goes wrong becomes that cell's outcome.
 */
import { readFileSync, writeSync } from 'node:fs';
import { ImageError } from '../machine/elf.ts';
import { type BootedEngine, boot, type CellOutcome, measure } from './cell.ts';
import type { CellMessage, CellTask, PriceOverride } from './cell-protocol.ts';
import { chooseEngine, chooseProfile } from './choices.ts';
import { withOverride } from './sensitivity.ts';
import { sampleWall } from './wall-samples.ts';

function say(message: CellMessage): void {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  // A pipe may take a part of a long line at a time.
  for (let at = 0; at < bytes.length; ) at += writeOnce(bytes, at);
}

function writeOnce(bytes: Buffer, at: number): number {
  try {
    return writeSync(1, bytes, at);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw error;
  }
}

type Boot = BootedEngine | Extract<CellOutcome, { why: string }>;

function bootTask(task: CellTask, override: PriceOverride | null): Boot {
  const { definition, variation } = chooseEngine(task.engine);
  const profile = chooseProfile(task.profile);
  try {
    const engine = definition.create({
      profile: override === null ? profile : withOverride(profile, override),
      variation,
      ramBytes: task.ramBytes,
      image: readFileSync(task.imagePath),
      commandLine: '',
    });
    return boot(engine, task.limit);
  } catch (error) {
    return error instanceof ImageError ? { status: 'failed', why: error.message } : internalError(error);
  }
}

/** The cell's outcome; run twice if asked, where a difference is a fault of Trivisor and not a figure. */
function exactOutcome(booted: BootedEngine, task: CellTask, mailbox: string): CellOutcome {
  const first = measure(booted, mailbox, task.limit);
  if (!task.twice || first.status !== 'ok') return first;
  const second = measure(booted, mailbox, task.limit);
  if (JSON.stringify(first) === JSON.stringify(second)) return first;
  return {
    status: 'failed',
    why: `Two runs from the same snapshot differ${firstDifference(first, second)}: the engine is not deterministic.`,
  };
}

function firstDifference(a: CellOutcome, b: CellOutcome): string {
  if (a.status !== 'ok' || b.status !== 'ok') return ` in status (${a.status}, then ${b.status})`;
  if (a.checksum !== b.checksum) return ` in checksum (${a.checksum}, then ${b.checksum})`;
  if (a.exact.measured.cycles !== b.exact.measured.cycles) {
    return ` in cycles (${a.exact.measured.cycles}, then ${b.exact.measured.cycles})`;
  }
  return '';
}

function internalError(error: unknown): Extract<CellOutcome, { why: string }> {
  const message = error instanceof Error ? error.message : String(error);
  const where =
    error instanceof Error ? (/\(?([^\s()]*\/(?:src|dist)\/[^\s()]*)\)?/.exec(error.stack ?? '')?.[1] ?? '') : '';
  const place = where === '' ? '' : ` (${where.replace(/^.*\/(?:src|dist)\//, '')})`;
  return { status: 'failed', why: `Internal error of the engine: ${message}${place}` };
}

function sameOverride(a: PriceOverride | null, b: PriceOverride | null): boolean {
  return a?.instruction === b?.instruction && a?.cycles === b?.cycles;
}

function main(): void {
  const task = JSON.parse(readFileSync(0, 'utf8')) as CellTask;
  let override = task.cells[0]?.override ?? null;
  let booted = bootTask(task, override);
  if (!('engine' in booted)) {
    say({ kind: 'unbootable', outcome: booted });
    return;
  }
  say({ kind: 'booted' });
  for (const { index, mailbox, override: wanted } of task.cells) {
    say({ kind: 'start', index });
    if (!sameOverride(wanted, override)) [booted, override] = [bootTask(task, wanted), wanted];
    if (!('engine' in booted)) {
      say({ kind: 'cell', index, outcome: booted, fatal: false });
      continue;
    }
    try {
      if (task.samples > 0) {
        say({ kind: 'wall', index, milliseconds: sampleWall(booted, mailbox, task.limit, task.samples) });
      } else {
        say({ kind: 'cell', index, outcome: exactOutcome(booted, task, mailbox), fatal: false });
      }
    } catch (error) {
      say({ kind: 'cell', index, outcome: internalError(error), fatal: true });
      return;
    }
  }
}

main();
