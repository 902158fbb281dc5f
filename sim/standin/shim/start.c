/* hnsim-start.exe FILE PROGRAM [ARGUMENT...] runs the program and waits. A
   system that is not Windows shows eight bits of its exit code: the whole of
   it goes into FILE, or the error if it cannot be started. */
#include <windows.h>

/* The text behind the first word of a command line. */
static WCHAR *behind(WCHAR *p)
{
	WCHAR end = L' ';
	if (*p == L'"') {
		end = L'"';
		p++;
	}
	while (*p && *p != end)
		p++;
	if (*p == L'"')
		p++;
	while (*p == L' ')
		p++;
	return p;
}

static void copy_word(WCHAR *to, const WCHAR *from, int size)
{
	WCHAR end = L' ';
	if (*from == L'"') {
		end = L'"';
		from++;
	}
	while (*from && *from != end && --size > 0)
		*to++ = *from++;
	*to = 0;
}

static void report(const WCHAR *file, char what, DWORD number)
{
	char text[10];
	DWORD written;
	int i;
	HANDLE f = CreateFileW(file, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
	if (f == INVALID_HANDLE_VALUE)
		return;
	text[0] = what;
	for (i = 0; i < 8; i++)
		text[1 + i] = "0123456789abcdef"[number >> (28 - 4 * i) & 15];
	text[9] = '\n';
	WriteFile(f, text, sizeof text, &written, NULL);
	CloseHandle(f);
}

/* Ctrl-C is for the program, which gets it too. */
static BOOL WINAPI stay(DWORD event)
{
	(void)event;
	return TRUE;
}

int main(void)
{
	WCHAR file[MAX_PATH], *line = behind(GetCommandLineW());
	STARTUPINFOW si = {0};
	PROCESS_INFORMATION pi;
	DWORD code;
	int failed = 0;
	copy_word(file, line, MAX_PATH);
	line = behind(line);
	si.cb = sizeof si;
	si.dwFlags = STARTF_USESTDHANDLES;
	si.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
	si.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
	si.hStdError = GetStdHandle(STD_ERROR_HANDLE);
	SetConsoleCtrlHandler(stay, TRUE);
	while (!CreateProcessW(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &si, &pi)) {
		/* On a busy machine wine loses a process now and then before it
		   has run any of its code: another one may fare better. */
		if (GetLastError() != ERROR_INTERNAL_ERROR || ++failed == 5) {
			report(file, 'e', GetLastError());
			return 1;
		}
		Sleep(100);
	}
	CloseHandle(pi.hThread);
	WaitForSingleObject(pi.hProcess, INFINITE);
	GetExitCodeProcess(pi.hProcess, &code);
	report(file, 'x', code);
	return (int)code;
}
