/* Prints what the version functions say. */
#include <windows.h>
#include <stdio.h>

int main(void)
{
	OSVERSIONINFOEXW v = {sizeof v};
	DWORD major, minor, build;
	HMODULE ntdll = GetModuleHandleA("ntdll");
	LONG(WINAPI *get)(OSVERSIONINFOEXW *) = (void *)GetProcAddress(ntdll, "RtlGetVersion");
	void(WINAPI *numbers)(DWORD *, DWORD *, DWORD *) = (void *)GetProcAddress(ntdll, "RtlGetNtVersionNumbers");
	get(&v);
	numbers(&major, &minor, &build);
	printf("%lu.%lu.%lu type %d, %lu.%lu.%lu\n", v.dwMajorVersion, v.dwMinorVersion, v.dwBuildNumber, v.wProductType,
	       major, minor, build & 0xFFFF);
	return 0;
}
