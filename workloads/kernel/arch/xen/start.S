/* ELF notes (Xen public/elfnote.h), the hypercall page, and the entry: ring 1, paging on, start_info in ESI. */
	.macro note type, value:vararg
	.long	4, 2f - 1f, \type
	.asciz	"Xen"
1:	\value
2:	.balign	4
	.endm

	.section .note.Xen, "a", @note
	note	6, .asciz "Trivisor"				/* GUEST_OS */
	note	7, .asciz "1"					/* GUEST_VERSION */
	note	5, .asciz "xen-3.0"				/* XEN_VERSION */
	note	3, .long 0xc0000000				/* VIRT_BASE */
	note	4, .long 0					/* PADDR_OFFSET: p_paddr is pseudo-physical */
	note	1, .long start					/* ENTRY */
	note	2, .long hypercall_page				/* HYPERCALL_PAGE */
	note	10, .asciz "writable_page_tables|pae_pgdir_above_4gb"	/* FEATURES */
	note	9, .asciz "yes"					/* PAE_MODE */
	note	8, .asciz "generic"				/* LOADER */

	.section .hypercall_page, "ax"
	.balign	4096
	.globl	hypercall_page
hypercall_page:
	.skip	4096

	.text
	.globl	start
start:
	cld
	movl	$boot_stack_top, %esp
	xorl	%ebp, %ebp
	pushl	%esi
	call	arch_boot

	.bss
	.balign	4096
	.globl	shared_info
shared_info:
	.skip	4096
	.skip	16384
boot_stack_top:
	.section .note.GNU-stack, "", @progbits
