package apply

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/services/internal/screen"
)

// Report is what became of every document, in the order in which they were applied.
type Report struct {
	Results []Result
}

// Changed reports whether anything was, or in a dry run would be, created or updated.
func (r Report) Changed() bool {
	return slices.ContainsFunc(r.Results, func(x Result) bool { return x.Action != Unchanged })
}

// refused fails if something would not be saved.
func (r Report) refused() error {
	n := 0
	for _, x := range r.Results {
		if len(x.Problems) > 0 {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d documents would be refused", n, len(r.Results))
}

// Write prints a table, each change below its row, and the secrets of new API keys, which nothing shows again.
func (r Report) Write(w io.Writer) error {
	if len(r.Results) == 0 {
		return nil // what went wrong with the first one is told as an error
	}
	row := r.columns()
	fmt.Fprintln(w, row("KIND", "WORKSPACE", "ID", "ACTION"))
	for _, x := range r.Results {
		fmt.Fprintln(w, row(x.Kind, x.Workspace, x.ID, string(x.Action)))
		for _, change := range x.Changes {
			fmt.Fprintf(w, "  %s\n", change)
		}
		for _, problem := range x.Problems {
			fmt.Fprintf(w, "  would be refused: %s\n", problem)
		}
		for _, note := range x.Notes {
			fmt.Fprintf(w, "  note: %s\n", note)
		}
	}
	for _, x := range r.Results {
		if x.Secret.IsEmpty() {
			continue
		}
		_, err := fmt.Fprintf(w, "\nAPI key %s of workspace %s, shown only now:\n  %s\n", x.ID, x.Workspace, x.Secret.Reveal())
		if err != nil {
			return err
		}
	}
	return nil
}

// WriteJSON prints one object a line for programs: kind, workspace, id and action; changes, notes and problems if there are any; and the
// secret of a new API key, which nothing shows again.
func (r Report) WriteJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for _, x := range r.Results {
		err := out.Encode(struct {
			Kind      string   `json:"kind"`
			Workspace string   `json:"workspace"`
			ID        string   `json:"id"`
			Action    Action   `json:"action"`
			Changes   []string `json:"changes,omitempty"`
			Notes     []string `json:"notes,omitempty"`
			Problems  []string `json:"problems,omitempty"`
			Secret    string   `json:"secret,omitempty"`
		}{x.Kind, x.Workspace, x.ID, x.Action, x.Changes, x.Notes, x.Problems, x.Secret.Reveal()})
		if err != nil {
			return err
		}
	}
	return nil
}

// columns returns what aligns a row: what stands below a row does not widen them.
func (r Report) columns() func(kind, workspace, id, action string) string {
	kinds, workspaces, ids := len("KIND"), len("WORKSPACE"), len("ID")
	for _, x := range r.Results {
		kinds, workspaces, ids = max(kinds, len(x.Kind)), max(workspaces, len(x.Workspace)), max(ids, len(x.ID))
	}
	return func(kind, workspace, id, action string) string {
		return screen.Pad(kind, kinds+2) + screen.Pad(workspace, workspaces+2) + screen.Pad(id, ids+2) + action
	}
}

// changes lists the fields in which two messages differ, by path.
func changes(before, after proto.Message) []string {
	old, wanted := flat(before), flat(after)
	paths := slices.Sorted(maps.Keys(old))
	for path := range wanted {
		if _, ok := old[path]; !ok {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	var out []string
	for _, path := range paths {
		if old[path] != wanted[path] {
			out = append(out, fmt.Sprintf("%s: %s → %s", path, orNone(old[path]), orNone(wanted[path])))
		}
	}
	return out
}

func orNone(value string) string {
	if value == "" {
		return "(none)"
	}
	return value
}

// flat returns a message's fields as JSON values by path.
func flat(m proto.Message) map[string]string {
	out := map[string]string{}
	encoded, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return out
	}
	var value any
	if err := json.Unmarshal(encoded, &value); err != nil {
		return out
	}
	flatten(out, "", value)
	return out
}

func flatten(out map[string]string, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			at := key
			if path != "" {
				at = path + "." + key
			}
			flatten(out, at, inner)
		}
	case []any:
		for i, inner := range v {
			flatten(out, fmt.Sprintf("%s[%d]", path, i), inner)
		}
	default:
		encoded, err := json.Marshal(v)
		if err == nil {
			out[path] = string(encoded)
		}
	}
}
