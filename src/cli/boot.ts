/** `trivisor boot`: run a kernel of the user's, Linux above all, with its console on this terminal. */
import { readFileSync } from 'node:fs';
import { styleText } from 'node:util';
import { CYCLES, RETIRED, RETIRED_CLASSES } from '../core/state.ts';
import { eventNumber } from '../cost/event.ts';
import type { Engine, GuestStop } from '../engines/engine.ts';
import { ImageError } from '../machine/elf.ts';
import { chooseEngine, chooseProfile, DEFAULT_PROFILE } from '../suite/choices.ts';
import { EXIT, SuiteError } from '../suite/failure.ts';
import type { Arguments } from './arguments.ts';
import { type Command, tell } from './command.ts';
import { Console, QUIT } from './console.ts';

const IDLE = eventNumber('idle');
/** Virtual time between two looks at the terminal, in seconds. */
const SLICE = 0.01;
const RAM_STEP = 4;

/** How a boot ended; `text` finishes the sentence "The guest ...". */
interface Ending {
  readonly text: string;
  readonly exitCode: number;
}

export const bootCommand: Command = {
  name: 'boot',
  usage: '',
  what: 'Boot a Linux or multiboot kernel with its console on this terminal, until it ends itself.',
  options: ['kernel', 'initrd', 'append', 'engine', 'profile', 'ram', 'limit', 'stop-at'],
  examples: [
    'trivisor boot --kernel vmlinuz --initrd initrd.gz --append console=ttyS0',
    'trivisor boot --kernel vmlinuz --append console=ttyS0 -e vtx --stop-at "Linux version"',
  ],
  async run(args) {
    if (args.positionals.length > 0)
      throw new SuiteError(`Expected the kernel after --kernel, got '${args.positionals[0]}'.`);
    const engine = createEngine(args);
    const started = performance.now();
    const ending = await runGuest(engine, args.cycles('limit', Infinity), args.text('stop-at'));
    tell(report(engine, ending, (performance.now() - started) / 1000));
    return ending.exitCode;
  },
};

function createEngine(args: Arguments): Engine {
  const kernel = args.text('kernel');
  if (kernel === null) throw new SuiteError('Expected a kernel: trivisor boot --kernel FILE.');
  const { definition, variation } = chooseEngine(single(args, 'engine') ?? 'native');
  const profile = chooseProfile(single(args, 'profile') ?? DEFAULT_PROFILE);
  const ram = args.whole('ram', 256, RAM_STEP);
  if (ram % RAM_STEP !== 0 || ram > 2048)
    throw new SuiteError(`Expected --ram to be a multiple of ${RAM_STEP} up to 2048, got '${ram}'.`);
  const initrd = args.text('initrd');
  const options = {
    profile,
    variation,
    ramBytes: ram << 20,
    image: readFile(kernel, 'kernel'),
    commandLine: args.text('append') ?? '',
    ...(initrd === null ? {} : { initrd: readFile(initrd, 'initial RAM disk') }),
  };
  try {
    return definition.create(options);
  } catch (error) {
    if (error instanceof ImageError) throw new SuiteError(`${kernel}: ${error.message}`);
    throw error;
  }
}

/** The option's one value. */
function single(args: Arguments, name: 'engine' | 'profile'): string | null {
  const values = args.list(name);
  if (values.length > 1) throw new SuiteError(`Expected one --${name}, got ${values.join(', ')}.`);
  return values[0] ?? null;
}

function readFile(path: string, what: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new SuiteError(
      `The ${what} '${path}' cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}).`,
    );
  }
}

/**
 * Runs until the guest, `limit` (cycles of virtual time), `stopAt` on its console or the user ends it. Without a terminal
 * on stdin all of these depend on virtual time alone, and so does the state in the end.
 */
async function runGuest(engine: Engine, limit: number, stopAt: string | null): Promise<Ending> {
  const { machine } = engine;
  const { time } = machine.memory;
  const slice = Math.round(SLICE * machine.cpu.profile.frequencyHz);
  const console = new Console(machine.uart);
  try {
    for (;;) {
      const from = time[CYCLES] as number;
      const idle = engine.ledger.counts[IDLE] as number;
      const stop = engine.run(Math.min(limit, from + slice));
      const printed = console.show();
      if (stopAt !== null && printed.includes(stopAt)) return { text: `printed '${stopAt}'`, exitCode: EXIT.done };
      if (stop.kind !== 'limit' && stop.kind !== 'marker') return ended(stop);
      const now = time[CYCLES] as number;
      if (now >= limit) return { text: `reached its limit of ${limit} cycles`, exitCode: EXIT.cellFailed };
      const idleShare = ((engine.ledger.counts[IDLE] as number) - idle) / (now - from);
      const left = await console.turn(idleShare * SLICE);
      if (left !== null)
        return { text: left === QUIT ? 'was ended from the terminal' : 'was interrupted', exitCode: left };
    }
  } finally {
    console.close();
  }
}

function ended(stop: GuestStop): Ending {
  switch (stop.kind) {
    case 'exit':
      return { text: `exited with status ${stop.status}`, exitCode: stop.status === 0 ? EXIT.done : EXIT.cellFailed };
    case 'reset':
      return { text: 'reset the machine', exitCode: EXIT.cellFailed };
    case 'off':
      return { text: 'switched the machine off', exitCode: EXIT.done };
    case 'hang':
    case 'crash':
      return { text: `stopped: ${stop.message.replace(/\.$/, '')}`, exitCode: EXIT.cellFailed };
    default:
      throw new Error(`A guest does not end with '${stop.kind}'.`);
  }
}

function report(engine: Engine, ending: Ending, wallSeconds: number): string {
  const { machine, ledger } = engine;
  const { time } = machine.memory;
  ledger.fold();
  const cycles = time[CYCLES] as number;
  let retired = 0;
  for (let index = 0; index < RETIRED_CLASSES; index++) retired += time[RETIRED + index] as number;
  const rows: readonly (readonly [string, string])[] = [
    ['virtual time', `${(cycles / machine.cpu.profile.frequencyHz).toFixed(6)} s (${cycles} cycles)`],
    ['instructions', `${retired} (${(retired / wallSeconds / 1e6).toFixed(1)} MIPS)`],
    ['idle', `${((100 * (ledger.counts[IDLE] as number)) / cycles).toFixed(2)} %`],
    ['wall time', `${wallSeconds.toFixed(2)} s`],
    ['state hash', machine.hash()],
  ];
  const title = styleText('bold', `${engine.name}: the guest ${ending.text}.`, { stream: process.stderr });
  return [title, ...rows.map(([name, value]) => `  ${name.padEnd(13)} ${value}`)].join('\n');
}
