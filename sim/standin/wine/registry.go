package wine

import (
	"fmt"
	"strconv"
	"strings"
)

// regValue is a value of a registry key, in the notation of wine's files.
type regValue struct{ name, data string }

func regString(name, s string) regValue {
	return regValue{name, strconv.Quote(s)}
}

func regDword(name string, v uint32) regValue {
	return regValue{name, fmt.Sprintf("dword:%08x", v)}
}

// setValues sets values of a key in the text of a registry file. The key is
// written as in the file, with two backslashes between its parts.
func setValues(text, key string, values ...regValue) string {
	start := 0
	head := "[" + key + "]"
	if !strings.HasPrefix(text, head) {
		at := strings.Index(text, "\n"+head)
		if at < 0 {
			return setValues(strings.TrimRight(text, "\n")+"\n\n"+head+"\n\n", key, values...)
		}
		start = at + 1
	}
	end := len(text)
	if n := strings.Index(text[start:], "\n\n"); n >= 0 {
		end = start + n + 1
	}
	lines := strings.Split(strings.TrimSuffix(text[start:end], "\n"), "\n")
	for _, v := range values {
		lines = append(dropValue(lines, v.name), strconv.Quote(v.name)+"="+v.data)
	}
	return text[:start] + strings.Join(lines, "\n") + "\n" + text[end:]
}

// dropValue removes a value, which may go on over several lines.
func dropValue(lines []string, name string) []string {
	var kept []string
	inside := false
	for _, l := range lines {
		if !inside && strings.HasPrefix(strings.ToLower(l), strings.ToLower(strconv.Quote(name))+"=") {
			inside = true
		}
		if !inside {
			kept = append(kept, l)
		}
		inside = inside && strings.HasSuffix(l, `\`)
	}
	return kept
}

// release is what a version of Windows says of itself.
type release struct {
	name, display string
	revision      uint32 // of the first build that was sold
}

var releases = map[int]release{
	14393: {"Windows Server 2016 Datacenter", "1607", 0},
	17763: {"Windows Server 2019 Datacenter", "1809", 1},
	20348: {"Windows Server 2022 Datacenter", "21H2", 169},
	26100: {"Windows Server 2025 Datacenter", "24H2", 1742},
}

// setBuild makes the text of system.reg that of a build of Windows Server.
// Programs read the registry, or ask functions that wine answers from it:
// RtlGetVersion, RtlGetNtVersionNumbers and all that use them. Wine's own
// setting of a version does not reach all of them.
func setBuild(system string, build int) string {
	number := strconv.Itoa(build)
	r, ok := releases[build]
	if !ok {
		r = release{name: "Windows Server"}
	}
	system = setValues(system, `Software\\Microsoft\\Windows NT\\CurrentVersion`,
		regString("CurrentBuild", number), regString("CurrentBuildNumber", number),
		// Windows has "6.3" here since 2013, but wine 8 reads only this value.
		regString("CurrentVersion", "10.0"),
		regDword("CurrentMajorVersionNumber", 10), regDword("CurrentMinorVersionNumber", 0),
		regDword("UBR", r.revision), regString("ProductName", r.name), regString("CSDVersion", ""),
		regString("DisplayVersion", r.display), regString("ReleaseId", r.display),
		regString("EditionID", "ServerDatacenter"), regString("InstallationType", "Server Core"))
	// A program that crashes ends at once; wine's debugger needs a display.
	system = setValues(system, `Software\\Microsoft\\Windows NT\\CurrentVersion\\AeDebug`,
		regString("Auto", "1"), regString("Debugger", "cmd /c exit"))
	return setValues(system, `System\\CurrentControlSet\\Control\\ProductOptions`, regString("ProductType", "ServerNT"))
}
