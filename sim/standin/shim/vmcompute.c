/* vmcompute.dll: HNSCall, and the few Hcs functions that a network driver's
   attach makes. The others exist and are not implemented. */
#include "client.h"

#define NOT_IMPLEMENTED 0x80004001u

HR WINAPI HNSCall(PCWSTR method, PCWSTR path, PCWSTR request, PWSTR *response)
{
	struct hnsim_request q = {"HNSCall", 0, 0, NULL, 3, {method, path, request}};
	struct hnsim_response r;
	if (!response)
		return INVALID_ARGUMENT;
	hnsim_call(&q, &r);
	hnsim_give(r.text[0], response);
	hnsim_give(r.text[1], NULL);
	return r.hr;
}

static HR hcs(const char *fn, void *handle, int texts, PCWSTR text, void **opened, PWSTR *out, PWSTR *result)
{
	struct hnsim_request q = {fn, (uintptr_t)handle, 0, NULL, texts, {text}};
	struct hnsim_response r;
	hnsim_call(&q, &r);
	if (opened)
		*opened = (void *)(uintptr_t)r.handle;
	if (r.unserved) { /* the error record of HCN is not the result document of HCS */
		hnsim_give(r.text[1], NULL);
		r.text[1] = NULL;
	}
	hnsim_give(r.text[0], out);
	hnsim_give(r.text[1], result);
	return r.hr;
}

static HR no_out(PWSTR *result)
{
	hnsim_give(NULL, result);
	return INVALID_ARGUMENT;
}

HR WINAPI HcsEnumerateComputeSystems(PCWSTR query, PWSTR *out, PWSTR *result)
{
	return out ? hcs("HcsEnumerateComputeSystems", NULL, 1, query, NULL, out, result) : no_out(result);
}

HR WINAPI HcsOpenComputeSystem(PCWSTR id, void **system, PWSTR *result)
{
	return system ? hcs("HcsOpenComputeSystem", NULL, 1, id, system, NULL, result) : no_out(result);
}

HR WINAPI HcsGetComputeSystemProperties(void *system, PCWSTR query, PWSTR *out, PWSTR *result)
{
	return out ? hcs("HcsGetComputeSystemProperties", system, 1, query, NULL, out, result) : no_out(result);
}

HR WINAPI HcsModifyComputeSystem(void *system, PCWSTR request, PWSTR *result)
{
	return hcs("HcsModifyComputeSystem", system, 1, request, NULL, NULL, result);
}

HR WINAPI HcsCloseComputeSystem(void *system)
{
	return hcs("HcsCloseComputeSystem", system, 0, NULL, NULL, NULL, NULL);
}

/* Containers here never exit, so that a callback has nothing to hear. */
HR WINAPI HcsRegisterComputeSystemCallback(void *system, void *callback, void *context, void **handle)
{
	(void)context;
	if (!callback || !handle)
		return INVALID_ARGUMENT;
	return hcs("HcsRegisterComputeSystemCallback", system, 0, NULL, handle, NULL, NULL);
}

HR WINAPI HcsUnregisterComputeSystemCallback(void *handle)
{
	return hcs("HcsUnregisterComputeSystemCallback", handle, 0, NULL, NULL, NULL, NULL);
}

/* No network driver calls these. */
#define UNIMPLEMENTED(NAME) \
	HR WINAPI NAME(void) { return NOT_IMPLEMENTED; }

UNIMPLEMENTED(HcsCreateComputeSystem)
UNIMPLEMENTED(HcsStartComputeSystem)
UNIMPLEMENTED(HcsShutdownComputeSystem)
UNIMPLEMENTED(HcsTerminateComputeSystem)
UNIMPLEMENTED(HcsPauseComputeSystem)
UNIMPLEMENTED(HcsResumeComputeSystem)
UNIMPLEMENTED(HcsSaveComputeSystem)
UNIMPLEMENTED(HcsModifyServiceSettings)
UNIMPLEMENTED(HcsGetServiceProperties)
UNIMPLEMENTED(HcsCreateProcess)
UNIMPLEMENTED(HcsOpenProcess)
UNIMPLEMENTED(HcsCloseProcess)
UNIMPLEMENTED(HcsTerminateProcess)
UNIMPLEMENTED(HcsSignalProcess)
UNIMPLEMENTED(HcsGetProcessInfo)
UNIMPLEMENTED(HcsGetProcessProperties)
UNIMPLEMENTED(HcsModifyProcess)
UNIMPLEMENTED(HcsRegisterProcessCallback)
UNIMPLEMENTED(HcsUnregisterProcessCallback)
