/** What a hypercall returns when it refuses: negated error numbers (Xen public/errno.h). */
export const EPERM = -1;
export const ENOENT = -2;
export const ESRCH = -3;
export const EFAULT = -14;
export const EEXIST = -17;
export const EINVAL = -22;
export const ENOSPC = -28;
export const ENOSYS = -38;
export const ETIME = -62;
