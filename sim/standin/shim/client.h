/* The shims' side of the protocol of package standin (see its doc.go). */
#ifndef HNSIM_CLIENT_H
#define HNSIM_CLIENT_H

#include <winsock2.h>
#include <windows.h>
#include <stdint.h>

/* Results travel in a full register: callers that read 64 bits must find the
   upper half clear (rule A1). */
typedef uint64_t HR;

#define INVALID_ARGUMENT 0x80070057u
#define NO_SERVICE 0x800706B5u
#define OUT_OF_MEMORY 0x8007000Eu

struct hnsim_request {
	const char *function;
	uint64_t handle;
	uint64_t number;
	const GUID *guid; /* NULL: zero */
	int texts;
	PCWSTR text[4]; /* NULL is the NULL pointer, as in the call */
};

struct hnsim_response {
	uint32_t hr;
	uint64_t handle;
	uint64_t number;
	PWSTR text[2]; /* result and error record; CoTaskMemAlloc'ed or NULL */
	int unserved;  /* the call did not reach a server that carries it out */
};

/* Carries out a call. Every field of the response is set on return. Without a
   server the result is that of a stopped service, 0x800706b5; a server that
   refuses the token or the host says so itself. */
void hnsim_call(const struct hnsim_request *q, struct hnsim_response *r);

/* Hands a text to the caller, or frees it when the caller does not want it. */
void hnsim_give(PWSTR text, PWSTR *slot);

/* Says where the probe service beside the stand-in listens ("address:port"),
   from HNSIM_STANDIN_PROBES. Returns the length, or 0 where there is none. */
uint32_t hnsim_probes(char *addr, uint32_t size);

#endif
