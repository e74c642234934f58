/** Boots a committed image under an engine and runs it to its end. */
import { readFileSync } from 'node:fs';
import { DEFAULT_PROFILE } from '../../src/cost/profiles/index.ts';
import type { GuestStop } from '../../src/engines/engine.ts';
import { ENGINES } from '../../src/engines/registry.ts';

const CYCLE_LIMIT = 1e11;
const RAM_BYTES = 64 << 20;

/** `image` without the kernel's suffix: '' or 'isolation-'. */
export function runGuest(engine: string, image: string, commandLine: string): { console: string; stop: GuestStop } {
  const definition = ENGINES.find(({ name }) => name === engine);
  if (definition === undefined) throw new Error(`There is no engine ${engine}.`);
  const guest = definition.create({
    profile: DEFAULT_PROFILE,
    variation: [],
    ramBytes: RAM_BYTES,
    image: readFileSync(`workloads/images/${image}${definition.kernel}.elf`),
    commandLine,
  });
  let stop = guest.run(CYCLE_LIMIT);
  while (stop.kind === 'marker') stop = guest.run(CYCLE_LIMIT);
  return { console: guest.machine.consoleText(), stop };
}
