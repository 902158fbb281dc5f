#include "textflag.h"

// func prefetch(at *[maxLines]uintptr, n int)
TEXT ·prefetch(SB), NOSPLIT, $0-16
	MOVD at+0(FP), R0
	MOVD n+8(FP), R1
	ADD  R1<<3, R0, R2
next:
	CMP  R2, R0
	BHS  done
	MOVD.P 8(R0), R3
	PRFM (R3), PLDL1KEEP
	B    next
done:
	RET
