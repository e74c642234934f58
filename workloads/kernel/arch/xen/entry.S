/*
 * Entry stubs. The hypervisor bounces exceptions and events to ring 1 with the frame that the hardware would have pushed;
 * int 0x80 comes through a direct gate with the hardware's own. The selector CS carries the event mask at the time of the
 * trap in bits 16-23, which IRET ignores; EFLAGS.IF in a bounced frame is its inverse.
 */
#include "xen-abi.h"

#define MASK (shared_info + SHARED_UPCALL_MASK)
#define EVENT_VECTOR 32
#define FRAME_EFLAGS 56

/* Once the data segments are the interrupted context's again, only SS is ours. */
#define PENDING_BY_SS %ss:shared_info + SHARED_UPCALL_PENDING
#define MASK_BY_SS %ss:shared_info + SHARED_UPCALL_MASK

	.macro save
	pushl	%ds
	pushl	%es
	pushal
	movl	$XEN_USER_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	.endm

	.macro restore
	popal
	popl	%es
	popl	%ds
	addl	$8, %esp		/* vector, error */
	.endm

	.text
	.globl	trap_stubs
	.balign	16
	/* 32 stubs of 16 bytes. */
trap_stubs:
	vector = 0
	.rept	32
	.balign	16
	.if	(vector != 8) && ((vector < 10) || (vector > 14)) && (vector != 17)
	pushl	$0
	.endif
	pushl	$vector
	jmp	common
	vector = vector + 1
	.endr

	/*
	 * Events come with the mask set. One that arrived inside leave's critical region, after it unmasked events and before its
	 * IRET, left a frame of its own on top of the one that was about to be returned by, with every register already the
	 * interrupted context's. Dropping the new frame makes it an event that came in that context; kept, such frames would pile up
	 * on the stack when events come faster than they are handled.
	 */
	.globl	event_stub
	.balign	16
event_stub:
	cmpl	$critical_start, (%esp)
	jb	1f
	cmpl	$critical_end, (%esp)
	jae	1f
	addl	$12, %esp
1:	pushl	$0
	pushl	$EVENT_VECTOR

	.balign	16
common:
	save
	pushl	%esp
	call	trap
	addl	$4, %esp

	/* Returns by the trap frame at ESP, with the events masked or not as they were in it. */
leave:
	testl	$0x200, FRAME_EFLAGS(%esp)
	jz	leave_masked
	cmpb	$0, MASK
	jne	leave_unmasking
	restore
	iret

leave_masked:
	movb	$1, MASK
	restore
	iret

leave_unmasking:
	restore
	movb	$0, MASK_BY_SS
critical_start:
	testb	$1, PENDING_BY_SS
	jnz	1f
	iret
1:	movb	$1, MASK_BY_SS
critical_end:
	/* As if the event had come after the IRET. */
	jmp	event_stub

	.globl	syscall_stub
	.balign	16
syscall_stub:
	pushl	$0
	pushl	$0x80
	save
	pushl	%esp
	call	system_call
	addl	$4, %esp
	jmp	leave

	/* A segment load or IRET of the hypervisor's on our behalf faulted: the saved selectors cannot be trusted. */
	.globl	failsafe_stub
	.balign	16
failsafe_stub:
	movl	$XEN_KERNEL_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	pushl	$failsafe_text
	call	panic

	/* See arch/native: the same two functions. */
	.globl	enter_user
	.balign	16
enter_user:
	pushl	%ebp
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	pushl	resume_stack
	movl	%esp, resume_stack
	movl	24(%esp), %esi
	cmpl	%esp, trap_stack
	je	1f
	movl	%esp, trap_stack
	pushl	%esp
	call	arch_set_kernel_stack
	addl	$4, %esp
1:	subl	$68, %esp		/* sizeof(struct trap_frame) */
	movl	%esp, %edi
	movl	$17, %ecx
	rep movsl
	cmpl	$0, iret_by_hypercall
	je	leave
	restore
	jmp	hypercall_page + 32 * HYPERCALL_iret

	.globl	leave_user
	.balign	16
leave_user:
	movl	4(%esp), %eax
	movl	resume_stack, %esp
	popl	resume_stack
	popl	%edi
	popl	%esi
	popl	%ebx
	popl	%ebp
	ret

	.section .rodata
failsafe_text:
	.asciz	"failsafe callback"
	.bss
	.balign	4
resume_stack:
	.long	0
	.globl	trap_stack
trap_stack:
	.long	0
	.globl	iret_by_hypercall
iret_by_hypercall:
	.long	0
	.section .note.GNU-stack, "", @progbits
