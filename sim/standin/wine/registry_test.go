package wine

import (
	"strings"
	"testing"
)

const registryText = `WINE REGISTRY Version 2
;; All keys relative to \\Machine

[Software\\Other] 1795780223
"CurrentBuild"="1"

[Software\\Microsoft\\Windows NT\\CurrentVersion] 1795780223
#time=1dd7e657c50b51a
"CurrentBuild"="7601"
"DigitalProductId"=hex:00,00,\
  00,01
"InstallDate"=dword:4be5019a

[Software\\Microsoft\\Windows NT\\CurrentVersion\\AeDebug] 1795780223
"Auto"="1"
`

func TestValuesAreSetInTheirKeyOnly(t *testing.T) {
	const key = `Software\\Microsoft\\Windows NT\\CurrentVersion`
	got := setValues(registryText, key, regString("currentBUILD", "26100"), regDword("UBR", 10), regString("DigitalProductId", `a\b`))
	want := strings.NewReplacer("\"CurrentBuild\"=\"7601\"\n", "", "\"DigitalProductId\"=hex:00,00,\\\n  00,01\n", "",
		"4be5019a\n", "4be5019a\n\"currentBUILD\"=\"26100\"\n\"UBR\"=dword:0000000a\n\"DigitalProductId\"=\"a\\\\b\"\n").Replace(registryText)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAValueOfTheLastKeyAndOfAKeyThatIsNotThere(t *testing.T) {
	got := setValues(registryText, `Software\\Microsoft\\Windows NT\\CurrentVersion\\AeDebug`, regString("Auto", "0"))
	if !strings.HasSuffix(got, "AeDebug] 1795780223\n\"Auto\"=\"0\"\n") {
		t.Errorf("got\n%s", got)
	}
	got = setValues(registryText, `System\\New`, regString("A", "b"))
	if !strings.HasSuffix(got, "\"Auto\"=\"1\"\n\n[System\\\\New]\n\"A\"=\"b\"\n\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestABuildIsSetOnce(t *testing.T) {
	for build, r := range releases {
		once := setBuild(registryText, build)
		if twice := setBuild(once, build); twice != once {
			t.Errorf("%d: setting it again changes\n%s\nto\n%s", build, once, twice)
		}
		if !strings.Contains(once, r.name) || strings.Contains(once, "7601") || !strings.Contains(once, `"ProductType"="ServerNT"`) {
			t.Errorf("%d:\n%s", build, once)
		}
	}
}

func FuzzRegistry(f *testing.F) {
	f.Add(registryText, "name", "value")
	f.Add("", "", "")
	f.Add("[A]", `a\`, `"`)
	f.Fuzz(func(t *testing.T, text, name, value string) {
		once := setValues(text, "A", regString(name, value))
		if twice := setValues(once, "A", regString(name, value)); twice != once {
			t.Errorf("%q: %q, then %q", text, once, twice)
		}
	})
}
