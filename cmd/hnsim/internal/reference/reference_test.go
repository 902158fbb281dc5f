package reference

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestTheReferenceHasEveryVisibleCommandAndFlag(t *testing.T) {
	root := &cobra.Command{Use: "tool", Long: "A tool."}
	root.PersistentFlags().BoolP("quiet", "q", false, "say | less")
	run := &cobra.Command{Use: "run [x]", Short: "run x", Example: "  tool run x", Run: func(*cobra.Command, []string) {}}
	run.Flags().String("out", "dir", "`folder` for results")
	run.Flags().String("secret", "", "not shown")
	if err := run.Flags().MarkHidden("secret"); err != nil {
		t.Fatal(err)
	}
	root.AddCommand(run, &cobra.Command{Use: "docs", Hidden: true, Run: func(*cobra.Command, []string) {}})
	var b strings.Builder
	if err := Write(&b, root); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| [`tool run`](#tool-run) | run x |", "`-q, --quiet` |  | say \\| less; `HNSIM_QUIET`", "`--out folder` | dir | folder for results; `HNSIM_OUT`", "```\n  tool run x\n```", "| 130 |"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	for _, hidden := range []string{"secret", "tool docs"} {
		if strings.Contains(b.String(), hidden) {
			t.Errorf("%q is shown", hidden)
		}
	}
}
