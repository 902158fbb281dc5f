/* A program that calls the DLLs as a C program on Windows does, and says where
   they do not behave as the contract has it. */
#ifndef CHECK_H
#define CHECK_H

#include <winsock2.h>
#include <windows.h>
#include <stdint.h>

#define OK 0u
#define INVALID_ARGUMENT 0x80070057u
#define INVALID_HANDLE 0x80070006u
#define NO_SERVICE 0x800706B5u
#define OUT_OF_MEMORY 0x8007000Eu

/* The functions return 32 bits; PowerShell declares 64, and must find the upper
   half clear (rule A1). */
typedef uint64_t HR;

typedef HR(WINAPI *ask_fn)(PCWSTR, PWSTR *, PWSTR *);
typedef HR(WINAPI *create_fn)(const GUID *, PCWSTR, void **, PWSTR *);
typedef HR(WINAPI *create_in_fn)(void *, const GUID *, PCWSTR, void **, PWSTR *);
typedef HR(WINAPI *open_fn)(const GUID *, void **, PWSTR *);
typedef HR(WINAPI *modify_fn)(void *, PCWSTR, PWSTR *);
typedef HR(WINAPI *query_fn)(void *, PCWSTR, PWSTR *, PWSTR *);
typedef HR(WINAPI *delete_fn)(const GUID *, PWSTR *);
typedef HR(WINAPI *close_fn)(void *);

extern int failures;

void report(const char *file, int line, const char *what, ...);

#define CHECK(cond, ...)                                        \
	do {                                                    \
		if (!(cond))                                    \
			report(__FILE__, __LINE__, __VA_ARGS__); \
	} while (0)

/* Checks a result, all 64 bits of it. */
#define WANT(call, code)                                                                                       \
	do {                                                                                                   \
		HR got_ = (call);                                                                              \
		CHECK(got_ == (code), #call " = 0x%llx, want 0x%x", (unsigned long long)got_, (unsigned)(code)); \
	} while (0)

/* Functions of computenetwork.dll and vmcompute.dll; a missing one ends the
   program. */
void *hcn(const char *name);
void *hcs(const char *name);

/* A value that no function leaves in an out parameter. */
#define POISON ((PWSTR)(uintptr_t)0xDEAD0)

/* Checks that a text was allocated as clients free it (rule A3), that it holds
   part, and frees it. */
void take_text(const char *file, int line, PWSTR text, PCWSTR part);
#define TEXT_HAS(text, part) take_text(__FILE__, __LINE__, text, part)

/* Checks an error record (section D.2) and frees it. */
void take_record(const char *file, int line, PWSTR record, uint32_t code);
#define RECORD_IS(record, code) take_record(__FILE__, __LINE__, record, code)

#define V2 L"{\"SchemaVersion\":{\"Major\":2,\"Minor\":0}}"

extern const GUID network_id, endpoint_id, other_id;
#define NETWORK_ID L"aaaaaaaa-0001-4000-8000-000000000001"
#define ENDPOINT_ID L"aaaaaaaa-0002-4000-8000-000000000002"
#define OTHER_ID L"aaaaaaaa-0003-4000-8000-000000000003"

/* Makes the network network_id with the endpoint endpoint_id. */
void make_network(void **network, void **endpoint);

void check_families(void);
void check_identity(void);
void check_v1(void);
void check_callbacks(void);
void check_guests(void);
void check_memory(void);
void check_compute(void);
void check_texts(void);
void check_long(void);
void check_refused(void);
void check_gone(void);
void check_threads(void);

#endif
