/** `trivisor schema`: the JSON schema of a result file. */
import { EXIT } from '../suite/failure.ts';
import { jsonSchema } from '../suite/schema.ts';
import { type Command, print } from './command.ts';

export const schemaCommand: Command = {
  name: 'schema',
  usage: '',
  what: 'Print the JSON schema of a result file.',
  options: [],
  examples: ['trivisor schema > result.schema.json'],
  run() {
    print(JSON.stringify(jsonSchema(), null, 2));
    return EXIT.done;
  },
};
