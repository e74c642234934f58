import { invalid } from './classify.ts';
import { HIGH, LOW, R, SE, W } from './words.ts';
export const SECOND = 40;
const todo = (_control: number): number => {
  const flags = invalid();
  W[SECOND + LOW] = W[R + LOW];
  W[SECOND + HIGH] = W[R + HIGH];
  W[SECOND + SE] = W[R + SE];
  return flags;
};
export const arctangent = todo,
  cosine = todo,
  exponential = todo,
  logarithm = todo,
  logarithmPlusOne = todo,
  sine = todo,
  sineCosine = todo,
  tangent = todo;
