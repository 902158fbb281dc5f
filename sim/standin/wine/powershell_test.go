package wine

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// answer is what a powershell.exe of a run said.
type answer struct {
	Code     int
	Out, Err string
}

// powershell runs commands in one run after another and returns the answers.
func powershell(t *testing.T, r *Run, commands ...string) []answer {
	t.Helper()
	code, out, errOut := run(t, r, "", append([]string{"powershell"}, commands...)...)
	if code != 0 {
		t.Fatalf("%d %s %s", code, out, errOut)
	}
	var all []answer
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
		var a answer
		if err := d.Decode(&a); err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		all = append(all, a)
	}
	if len(all) != len(commands) {
		t.Fatalf("%d answers to %d commands: %s", len(all), len(commands), out)
	}
	return all
}

// guarded is how flannel sends a command; asJSON, one that it wants JSON of,
// which it guards twice.
func guarded(command string) string {
	return `$ErrorActionPreference="Stop";try { ` + command + ` } catch { Write-Host $_; os.Exit(-1) }`
}

func asJSON(command string) string { return guarded(guarded("ConvertTo-Json (" + command + ")")) }

type netRoute struct {
	IfIndex                    int
	DestinationPrefix, NextHop string
}

// decode reads the JSON of a command that succeeded.
func decode[T any](t *testing.T, a answer) (v T) {
	t.Helper()
	if a.Code != 0 || a.Err != "" {
		t.Fatalf("%+v", a)
	}
	if err := json.Unmarshal([]byte(a.Out), &v); err != nil {
		t.Fatalf("%v in %q", err, a.Out)
	}
	return v
}

// firstInterface is the index of an interface, and its name.
func firstInterface(t *testing.T, r *Run) (index int, alias string) {
	t.Helper()
	type netInterface struct {
		IfIndex        int
		InterfaceAlias string
	}
	all := decode[[]netInterface](t, powershell(t, r, "ConvertTo-Json -Compress -InputObject @(Get-NetIPInterface -AddressFamily IPv4 | Select-Object ifIndex,InterfaceAlias)")[0])
	if len(all) == 0 || all[0].IfIndex == 0 || all[0].InterfaceAlias == "" {
		t.Fatalf("%+v", all)
	}
	return all[0].IfIndex, all[0].InterfaceAlias
}

func TestPowerShellKeepsTheRoutesOfARun(t *testing.T) {
	r, _ := mkRun(t)
	index, alias := firstInterface(t, r)
	list := asJSON("@(Get-NetRoute | Select-Object -Property IfIndex,DestinationPrefix,NextHop)")
	one := func(prefix string) string {
		return asJSON(fmt.Sprintf("@(Get-NetRoute -InterfaceIndex %d -DestinationPrefix %s | Select-Object -Property IfIndex,DestinationPrefix,NextHop)", index, prefix))
	}
	add := guarded(fmt.Sprintf("New-NetRoute -InterfaceIndex %d -DestinationPrefix 10.244.7.0/24 -NextHop  198.51.100.7", index))
	remove := guarded(fmt.Sprintf("Remove-NetRoute -InterfaceIndex %d -DestinationPrefix 10.244.7.0/24 -NextHop 198.51.100.7 -Verbose -Confirm:$false", index))
	a := powershell(t, r, list, one("10.244.7.0/24"), add, one("10.244.7.0/24"), add, list,
		"Get-NetRoute -NextHop 198.51.100.* -AddressFamily IPv4 -InterfaceAlias '"+alias+"' | ConvertTo-Json -Compress",
		"Get-NetRoute | Where { $_.DestinationPrefix -eq '10.244.7.0/24' -and $_.NextHop -like '198.*' } | Select-Object -ExpandProperty NextHop",
		"(Get-NetRoute -DestinationPrefix 10.244.7.0/24).NextHop",
		remove, list, one("10.244.7.0/24"), remove,
		"Get-NetRoute -NextHop 198.51.100.* | Remove-NetRoute -Confirm:$false", list)
	before := decode[[]netRoute](t, a[0])
	want := netRoute{index, "10.244.7.0/24", "198.51.100.7"}
	if got := decode[[]netRoute](t, a[3]); len(got) != 1 || got[0] != want {
		t.Errorf("the route that was added: %+v", got)
	}
	if got := decode[[]netRoute](t, a[5]); len(got) != len(before)+1 {
		t.Errorf("%d routes, then %d", len(before), len(got))
	}
	if got := decode[netRoute](t, a[6]); got != want {
		t.Errorf("one through a pipe: %+v", got)
	}
	for _, i := range []int{7, 8} {
		if a[i] != (answer{0, "198.51.100.7\r\n", ""}) {
			t.Errorf("%+v", a[i])
		}
	}
	if got := decode[[]netRoute](t, a[10]); len(got) != len(before) {
		t.Errorf("%d routes, after all %d", len(before), len(got))
	}
	const none = "No MSFT_NetRoute objects found with property"
	for i, text := range map[int]string{1: none, 4: "already exists", 11: none, 12: none} {
		if a[i].Code != 1 || !strings.Contains(a[i].Out, text) {
			t.Errorf("answer %d: %+v, want code 1 and %q", i, a[i], text)
		}
	}
	if a[13].Code != 0 || a[14].Out != a[10].Out {
		t.Errorf("nothing through a pipe removes something: %+v %+v", a[13], a[14])
	}
	powershell(t, r, add)
	if got := decode[[]netRoute](t, powershell(t, r, list)[0]); len(got) != len(before) {
		t.Errorf("another run has %+v", got)
	}
}

func TestPowerShellKeepsTheSettingsOfInterfaces(t *testing.T) {
	r, _ := mkRun(t)
	index, _ := firstInterface(t, r)
	get := asJSON(fmt.Sprintf("Get-NetIPInterface -ifIndex %d -AddressFamily IPv4 | Select-Object -Property Forwarding", index))
	set := guarded(fmt.Sprintf("Set-NetIPInterface -ifIndex %d -AddressFamily IPv4 -Forwarding Enabled", index))
	bad := guarded(fmt.Sprintf("Set-NetIPInterface -ifIndex %d -Forwarding Perhaps", index))
	a := powershell(t, r, get, set, get, bad, guarded("Set-NetIPInterface -ifIndex 9999 -Forwarding Enabled"),
		"Get-NetIPAddress -IPAddress 127.0.0.1 | ConvertTo-Json", "ConvertTo-Json @(Get-NetAdapter | Select-Object Name,MacAddress,Status)")
	type forwarding struct{ Forwarding *int }
	for i, want := range map[int]int{0: 0, 2: 1} {
		if got := decode[forwarding](t, a[i]); got.Forwarding == nil || *got.Forwarding != want {
			t.Errorf("%s, want %d", a[i].Out, want)
		}
	}
	if a[1] != (answer{}) || a[3].Code != 1 || a[4].Code != 1 {
		t.Errorf("%+v %+v %+v", a[1], a[3], a[4])
	}
	if got := decode[struct{ PrefixLength int }](t, a[5]); got.PrefixLength != 8 {
		t.Errorf("%+v", a[5])
	}
	decode[[]struct{ Name, MacAddress, Status string }](t, a[6])
}

// TestPowerShellRefuses has what fails on Windows, or may do something there.
func TestPowerShellRefuses(t *testing.T) {
	r, _ := mkRun(t)
	tests := []struct{ command, text string }{
		{"Get-DnsClient", "not modelled by hnsim: Get-DnsClient"},
		{"try { Restart-Service hns } catch { }", "not modelled by hnsim: Restart-Service"},
		{"Get-NetRoute -CimSession x", "not modelled by hnsim: the parameter -CimSession of Get-NetRoute"},
		{"Get-NetRoute -Interface 1", "which can be several"},
		{"Get-NetRoute | Where { $_.NextHop -match '1' }", "the operator -match"},
		{"New-NetRoute -InterfaceIndex 9999 -DestinationPrefix 10.0.0.0/8", "No interface has this index"},
		{"New-NetRoute -InterfaceIndex 1 -DestinationPrefix 10.0.0.1/8", "The parameter is incorrect"},
		{"New-NetRoute -InterfaceIndex 1 -DestinationPrefix 10.0.0.0/33", "The parameter is incorrect"},
		{"New-NetRoute -InterfaceIndex 1 -DestinationPrefix 10.0.0.0/8 -NextHop ::1", "The parameter is incorrect"},
		{"Remove-NetRoute -DestinationPrefix 10.9.0.0/16 -Confirm:$false", "No MSFT_NetRoute objects found"},
		{"Remove-NetRoute -InterfaceIndex $nothing -Confirm:$false", "No MSFT_NetRoute objects found"},
		{"Get-NetAdapter | Get-NetIPAddress", "objects through a pipe to Get-NetIPAddress"},
		{"Get-NetIPAddress | Set-NetIPInterface -Forwarding Enabled", "no IP interface"},
		{"Get-NetIPAddress | Remove-NetRoute", "no route"},
		{"ConvertTo-Json (Get-NetRoute", "no )"},
		{"try { Get-NetRoute", "closing brace"},
		{"Get-NetRoute 'x", "closing quote"},
		{"Get-NetRoute -NextHop", "without its value"},
		{"foreach ($i in 1..3) { $i }", "not modelled by hnsim"},
		{"|", "the syntax"},
		{"-", "standard input"},
	}
	var commands []string
	for _, tt := range tests {
		commands = append(commands, tt.command)
	}
	for i, a := range powershell(t, r, commands...) {
		if tt := tests[i]; !strings.Contains(a.Err, tt.text) || (a.Code != 1 && !strings.Contains(tt.command, "catch")) {
			t.Errorf("%s: %+v, want code 1 and %q", tt.command, a, tt.text)
		}
	}
}
