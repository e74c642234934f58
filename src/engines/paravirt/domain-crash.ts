/** The hypervisor gives the domain up: the message is a sentence for the user. */
export class DomainCrash extends Error {
  override readonly name = 'DomainCrash';
}
