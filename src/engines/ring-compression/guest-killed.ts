/** The guest did something that this VMM does not carry out: the engine ends it with this sentence. */
export class GuestKilled extends Error {}
