// Command requirements reads the events of `go test -json` on standard input and writes docs/requirements.md: one row per
// requirement of docs/requirements.tsv, with the passing tests that carry it as an attribute
// (t.Attr("requirement", "IMM-32")), or "not proven".
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

const (
	catalogue = "docs/requirements.tsv"
	target    = "docs/requirements.md"
	module    = "github.com/throughline-dev/throughline/"
)

// event is what we read of a test2json event.
type event struct{ Action, Package, Test, Key, Value string }

// test names one test of one package.
type test struct{ pkg, name string }

// results collects what a run showed.
type results struct {
	claims map[string]map[test]bool // requirement → tests that carry it
	passed map[test]bool
	failed []test
}

func main() {
	if err := run(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "requirements:", err)
		os.Exit(1)
	}
}

func run(in io.Reader) error {
	res, err := read(in)
	if err != nil {
		return err
	}
	rows, err := catalogueRows()
	if err != nil {
		return err
	}
	for id := range res.claims {
		if !slices.ContainsFunc(rows, func(r []string) bool { return r[0] == id }) {
			return fmt.Errorf("a test claims requirement %q, which %s does not list", id, catalogue)
		}
	}
	proven, text := render(rows, res)
	if err := os.WriteFile(target, []byte(text), 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: %d of %d requirements proven\n", target, proven, len(rows))
	if len(res.failed) > 0 {
		var failed strings.Builder
		for _, f := range res.failed {
			fmt.Fprintf(&failed, "\n  %s in %s", f.name, f.pkg)
		}
		return fmt.Errorf("%d tests failed; they prove nothing:%s", len(res.failed), failed.String())
	}
	return nil
}

func read(in io.Reader) (*results, error) {
	res := &results{claims: map[string]map[test]bool{}, passed: map[test]bool{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // build output is not JSON
		}
		at := test{strings.TrimPrefix(e.Package, module), e.Test}
		switch e.Action {
		case "attr":
			if e.Key != "requirement" {
				continue
			}
			if res.claims[e.Value] == nil {
				res.claims[e.Value] = map[test]bool{}
			}
			res.claims[e.Value][at] = true
		case "pass":
			res.passed[at] = true
		case "fail":
			res.failed = append(res.failed, at)
		}
	}
	return res, lines.Err()
}

func catalogueRows() ([][]string, error) {
	data, err := os.ReadFile(catalogue)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		cells := strings.Split(line, "\t")
		if len(cells) != 4 {
			return nil, fmt.Errorf("%s:%d: want 4 columns, got %d", catalogue, i+1, len(cells))
		}
		if i > 0 {
			rows = append(rows, cells)
		}
	}
	return rows, nil
}

func render(rows [][]string, res *results) (int, string) {
	proven := 0
	var table strings.Builder
	for _, row := range rows {
		var by []string
		for t := range res.claims[row[0]] {
			if res.passed[t] {
				by = append(by, fmt.Sprintf("`%s` %s", t.pkg, t.name))
			}
		}
		proof := "not proven"
		if len(by) > 0 {
			proven++
			slices.Sort(by)
			proof = strings.Join(by, "<br>")
		} else if realOrgOnly(row[2]) {
			proof = "not proven; needs a metadata check or a real org"
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", row[0], row[3], row[1], proof)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "# Requirements and their proof\n\nWritten by `make requirements`. A requirement counts as proven when a passing test carries its id.\n")
	fmt.Fprintf(&out, "%d of %d are proven.\n\n| id | requirement | owner | proven by |\n|---|---|---|---|\n%s", proven, len(rows), table.String())
	return proven, out.String()
}

// realOrgOnly reports whether all test kinds of a requirement are metadata validation (M) or a real org (R).
func realOrgOnly(kinds string) bool {
	set := map[string]bool{}
	for _, k := range strings.Fields(kinds) {
		set[k] = true
	}
	delete(set, "M")
	delete(set, "R")
	return len(slices.Collect(maps.Keys(set))) == 0
}
