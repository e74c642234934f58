/**
 * The job a child process does: boot an engine to the *ready* marker once, then per cell restore that moment, name the
 * workload in the guest's mailbox, and run to the *end* marker. Nothing here knows which engine it drives.
 */
import { CYCLES } from '../core/state.ts';
import type { Engine, GuestStop } from '../engines/engine.ts';
import type { Snapshot } from '../machine/snapshot.ts';
import type { ExactFigures, RegionFigures } from './figures.ts';
import { addRegions, between, type Reading, read } from './meter.ts';

const MARKER_READY = 1;
const MARKER_BEGIN = 2;
const MARKER_END = 3;
const MARKER_VALUE = 4;

const REGION_MEASURED = 0;
const REGION_CALIBRATION = 1;
const REGION_COLD = 2;

/** What one cell came to. `why` is a sentence. */
export type CellOutcome =
  | {
      readonly status: 'ok';
      /** Eight hex digits. */
      readonly checksum: string;
      /** What the guest printed between begin and end of the measured region. */
      readonly console: string;
      readonly exact: ExactFigures;
    }
  | { readonly status: 'skipped' | 'failed' | 'timeout'; readonly why: string };

/** An engine that rests at its guest's *ready* marker, and that moment to come back to. */
export interface BootedEngine {
  readonly engine: Engine;
  readonly snapshot: Snapshot;
  /** Guest-linear address and size in bytes; null for an image that measures itself without a *ready* marker. */
  readonly mailbox: { readonly linear: number; readonly size: number } | null;
  /** The marker the guest rests at if it is not *ready*. */
  readonly first: GuestStop | null;
}

/** Told of region borders as they happen; for wall-clock timing. */
export interface RegionObserver {
  begin(region: number): void;
  end(region: number): void;
}

/** Boots to *ready*, or to the first *begin* of an image that has no mailbox. `limit` is in cycles of virtual time. */
export function boot(engine: Engine, limit: number): BootedEngine | Extract<CellOutcome, { why: string }> {
  for (;;) {
    const stop = engine.run(limit);
    if (stop.kind !== 'marker') return failure(stop, 'before it was ready', limit);
    if (stop.code === MARKER_READY) {
      const [linear, size] = stop.payload;
      return { engine, mailbox: { linear: linear >>> 0, size }, snapshot: engine.snapshot(), first: null };
    }
    if (stop.code === MARKER_BEGIN) return { engine, mailbox: null, snapshot: engine.snapshot(), first: stop };
  }
}

/** Runs one cell from the booted moment. `limit` is in cycles of virtual time from there. */
export function measure(
  booted: BootedEngine,
  mailboxText: string,
  limit: number,
  observer: RegionObserver | null = null,
): CellOutcome {
  const { engine } = booted;
  engine.restore(booted.snapshot);
  if (booted.mailbox !== null) writeMailbox(engine, booted.mailbox, mailboxText);
  const end = (engine.machine.memory.time[CYCLES] as number) + limit;
  const passes = new Passes(engine, observer);
  let stop = booted.first ?? engine.run(end);
  for (; stop.kind === 'marker' && stop.code !== MARKER_READY; stop = engine.run(end))
    passes.marker(stop.code, stop.payload);
  const finished = stop.kind === 'marker' || (stop.kind === 'exit' && stop.status === 0);
  if (!finished) return failure(stop, 'while it ran', limit);
  return passes.outcome();
}

/** The regions a guest has gone through so far. */
class Passes {
  readonly #engine: Engine;
  readonly #observer: RegionObserver | null;
  readonly #open: Map<number, { reading: Reading; consoleLength: number }> = new Map();
  readonly #regions: Map<number, RegionFigures> = new Map();
  readonly #values: Record<string, number> = {};
  readonly #consoleStart: number;
  #checksum = 0;
  #console = '';
  #skipped = false;

  constructor(engine: Engine, observer: RegionObserver | null) {
    this.#engine = engine;
    this.#consoleStart = engine.machine.consoleText().length;
    this.#observer = observer;
  }

  marker(code: number, [ebx, ecx, edx]: readonly [number, number, number]): void {
    if (code === MARKER_BEGIN) {
      this.#open.set(ebx, { reading: read(this.#engine), consoleLength: this.#engine.machine.consoleText().length });
      this.#observer?.begin(ebx);
    } else if (code === MARKER_END) {
      this.#observer?.end(ebx);
      this.#end(ebx, ecx >>> 0, edx >>> 0);
    } else if (code === MARKER_VALUE) {
      this.#values[String(ebx >>> 0)] = ecx >>> 0;
    }
  }

  #end(region: number, operations: number, checksum: number): void {
    const begun = this.#open.get(region);
    if (begun === undefined) return;
    this.#open.delete(region);
    const figures = between(this.#engine, begun.reading, read(this.#engine), operations);
    this.#regions.set(region, addRegions(this.#regions.get(region) ?? null, figures));
    if (region !== REGION_MEASURED) return;
    this.#checksum = checksum;
    this.#console += this.#engine.machine.consoleText().slice(begun.consoleLength);
    // A guest that finds that it cannot do the work here ends the region with no operations.
    this.#skipped = operations === 0;
  }

  /** The guest prints the reason on its console. */
  #skipReason(): string {
    const printed = /skipped: ([^\n]+)/.exec(this.#engine.machine.consoleText().slice(this.#consoleStart));
    if (printed === null) return 'The guest found that this engine does not offer the operation.';
    const reason = (printed[1] as string).trim().replace(/\.$/, '');
    return `${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`;
  }

  outcome(): CellOutcome {
    const measured = this.#regions.get(REGION_MEASURED);
    if (measured === undefined)
      return { status: 'failed', why: 'The guest ended without passing its begin and end markers.' };
    if (this.#skipped) return { status: 'skipped', why: this.#skipReason() };
    return {
      status: 'ok',
      checksum: this.#checksum.toString(16).padStart(8, '0'),
      console: this.#console,
      exact: {
        measured,
        calibration: this.#regions.get(REGION_CALIBRATION) ?? null,
        cold: this.#regions.get(REGION_COLD) ?? null,
        values: this.#values,
      },
    };
  }
}

function writeMailbox(engine: Engine, mailbox: { linear: number; size: number }, text: string): void {
  const bytes = new TextEncoder().encode(`${text}\0`);
  if (bytes.length > mailbox.size) throw new Error(`The mailbox of ${mailbox.size} bytes is too small for '${text}'.`);
  for (const [index, byte] of bytes.entries()) {
    const address = engine.translate((mailbox.linear + index) >>> 0);
    if (address === null) throw new Error(`The guest's mailbox at ${mailbox.linear.toString(16)} is not mapped.`);
    engine.machine.memory.write8(address, byte);
  }
}

function failure(stop: GuestStop, when: string, limit: number): Extract<CellOutcome, { why: string }> {
  switch (stop.kind) {
    case 'limit':
      return {
        status: 'timeout',
        why: `The guest was still running after its limit of ${limit} virtual cycles, ${when}.`,
      };
    case 'exit':
      return { status: 'failed', why: `The guest exited with status ${stop.status} ${when}.` };
    case 'reset':
      return { status: 'failed', why: `The guest reset the machine ${when}.` };
    case 'off':
      return { status: 'failed', why: `The guest switched the machine off ${when}.` };
    case 'hang':
      return { status: 'failed', why: `The guest hung ${when}: ${stop.message}` };
    case 'crash':
      return { status: 'failed', why: `The guest crashed ${when}: ${stop.message}` };
    case 'marker':
      return { status: 'failed', why: `The guest passed marker ${stop.code} ${when}.` };
  }
}
