// Functions without a body (call_windows.go) need a file like this one.
