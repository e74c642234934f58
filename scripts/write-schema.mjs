// Writes the JSON schema of a result file to docs/, from its definition in the source.
import { writeFileSync } from 'node:fs';
import { jsonSchema } from '../dist/suite/schema.js';

writeFileSync('docs/result.schema.json', `${JSON.stringify(jsonSchema(), null, 2)}\n`);
