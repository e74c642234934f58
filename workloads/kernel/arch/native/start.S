/*
 * Multiboot entry: protected mode, paging off. Builds a PAE map of the first 64 MB by large pages, both at zero (for the
 * next instructions) and at KERNEL_BASE, and goes on high. The low map goes away in C.
 */
#define HIGH 0xc0000000
#define LARGE_PAGES 32

	.section .start, "ax"
	/* Flags: memory information. The command line comes without asking. */
	.align	4
	.long	0x1badb002
	.long	0x00000002
	.long	-(0x1badb002 + 0x00000002)

	.globl	start
start:
	cld
	movl	$(kernel_directory - HIGH), %edi
	movl	$0x000000e3, %eax	/* present, writable, accessed, dirty, large */
	movl	$LARGE_PAGES, %ecx
1:	movl	%eax, (%edi)
	movl	$0, 4(%edi)
	addl	$8, %edi
	addl	$0x200000, %eax
	decl	%ecx
	jnz	1b

	movl	$(kernel_root - HIGH), %edi
	movl	$(kernel_directory - HIGH + 1), %eax
	movl	%eax, (%edi)
	movl	%eax, 24(%edi)
	movl	%cr4, %eax
	orl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	%edi, %cr3
	movl	%cr0, %eax
	orl	$0x80010000, %eax	/* PG, WP */
	movl	%eax, %cr0
	movl	$high, %eax
	jmp	*%eax

	.text
high:
	movl	$boot_stack_top, %esp
	xorl	%ebp, %ebp
	pushl	%ebx			/* multiboot information, physical */
	call	arch_boot

	.bss
	.balign	4096
	.globl	kernel_directory
kernel_directory:
	.skip	4096
	.globl	kernel_root
kernel_root:
	.skip	4096
	.skip	16384
boot_stack_top:
	.section .note.GNU-stack, "", @progbits
