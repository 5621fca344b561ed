// Command packages writes docs/packages.md: every package of the workspace with the first sentence of its package
// comment, so that a newcomer can guess which folder to open. It fails when a package has no comment.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

const (
	module = "github.com/throughline-dev/throughline/"
	target = "docs/packages.md"
	intro  = "# Packages\n\nWritten by `make generate` from the package comments. Modules, in the order of dependence:\n" +
		"`proto` (the contract), `libs` (no business nouns), `services` (everything that knows the trade).\n"
)

type listed struct{ ImportPath, Doc, Name string }

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "packages:", err)
		os.Exit(1)
	}
}

func run() error {
	out, err := exec.Command("go", "list", "-json=ImportPath,Doc,Name", "./proto/...", "./libs/...", "./services/...").Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	var doc strings.Builder
	doc.WriteString(intro)
	section := ""
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p listed
		if err := dec.Decode(&p); err != nil {
			return err
		}
		path := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(path, "proto/") {
			continue
		}
		if p.Doc == "" {
			return fmt.Errorf("%s has no package comment: say in doc.go what it is for", path)
		}
		top, _, _ := strings.Cut(path, "/")
		if top != section {
			section = top
			fmt.Fprintf(&doc, "\n## %s\n\n| package | what it is for |\n|---|---|\n", section)
		}
		fmt.Fprintf(&doc, "| [`%s`](../%s) | %s |\n", strings.TrimPrefix(path, top+"/"), path, strings.ReplaceAll(p.Doc, "|", `\|`))
	}
	return os.WriteFile(target, []byte(doc.String()), 0o644)
}
