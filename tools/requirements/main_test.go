package main

import (
	"strings"
	"testing"
)

func TestOnlyPassingTestsProve(t *testing.T) {
	in := strings.Join([]string{
		`# build output`,
		`{"Action":"attr","Package":"github.com/throughline-dev/throughline/p","Test":"TestA","Key":"requirement","Value":"IMM-1"}`,
		`{"Action":"attr","Package":"p","Test":"TestB","Key":"requirement","Value":"IMM-2"}`,
		`{"Action":"pass","Package":"github.com/throughline-dev/throughline/p","Test":"TestA"}`,
		`{"Action":"fail","Package":"p","Test":"TestB"}`,
	}, "\n")
	res, err := read(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	rows := [][]string{{"IMM-1", "config", "I", "One"}, {"IMM-2", "config", "U", "Two"}, {"LOOM-10", "pkg", "M R", "Three"}}
	proven, text := render(rows, res)
	if proven != 1 {
		t.Errorf("proven = %d, want 1", proven)
	}
	for _, want := range []string{"| IMM-1 | One | config | `p` TestA |", "| IMM-2 | Two | config | not proven |", "needs a metadata check or a real org"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in:\n%s", want, text)
		}
	}
	if len(res.failed) != 1 {
		t.Errorf("failed = %v, want one", res.failed)
	}
}
