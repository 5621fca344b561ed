package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

func printObjects(w io.Writer, answer *configv1.ListObjectsResponse, asJSON bool) error {
	if asJSON {
		return printAllJSON(w, answer.GetObjects())
	}
	t := screen.NewTable(w, "object", "label", "create", "query")
	for _, o := range answer.GetObjects() {
		t.AppendRow(screen.Row{o.GetName(), o.GetLabel(), mark(o.GetCreateable()), mark(o.GetQueryable())})
	}
	t.Render()
	_, err := fmt.Fprintf(w, "%d objects, as of %s\n", len(answer.GetObjects()), answer.GetAskedAt().AsTime().Format("2006-01-02 15:04:05"))
	return err
}

func printDescription(w io.Writer, answer *configv1.DescribeObjectResponse, asJSON bool) error {
	o := answer.GetObject()
	if asJSON {
		return printJSON(w, o)
	}
	t := screen.NewTable(w, "field", "label", "type", "create", "change", "")
	for _, f := range o.GetFields() {
		t.AppendRow(screen.Row{f.GetName(), f.GetLabel(), typeOf(f), mark(f.GetCreateable()), mark(f.GetUpdateable()), remarks(f)})
	}
	t.Render()
	_, err := fmt.Fprintf(w, "%s (%s): %d fields, as of %s; create: %s, change: %s\n", o.GetName(), o.GetLabel(), len(o.GetFields()),
		answer.GetAskedAt().AsTime().Format("2006-01-02 15:04:05"), mark(o.GetCreateable()), mark(o.GetUpdateable()))
	return err
}

func typeOf(f *configv1.DescribedField) string {
	switch {
	case len(f.GetReferenceTo()) > 0:
		return f.GetType() + " to " + strings.Join(f.GetReferenceTo(), ", ")
	case f.GetPrecision() > 0:
		return fmt.Sprintf("%s(%d,%d)", f.GetType(), f.GetPrecision(), f.GetScale())
	case f.GetLength() > 0:
		return fmt.Sprintf("%s(%d)", f.GetType(), f.GetLength())
	}
	return f.GetType()
}

// remarks tells what else matters to somebody who maps the field.
func remarks(f *configv1.DescribedField) string {
	var out []string
	if f.GetCreateable() && !f.GetNillable() && !f.GetDefaultedOnCreate() && f.GetType() != "boolean" {
		out = append(out, "required")
	}
	if f.GetExternalId() {
		out = append(out, "external id")
	}
	if f.GetUnique() {
		out = append(out, "unique")
	}
	if f.GetEncrypted() {
		out = append(out, "encrypted")
	}
	if values := f.GetPicklist(); len(values) > 0 {
		names := make([]string, 0, len(values))
		for _, v := range values[:min(len(values), 8)] {
			names = append(names, v.GetValue())
		}
		list := strings.Join(names, " | ")
		if f.GetRestrictedPicklist() {
			list = "only " + list
		}
		if len(values) > len(names) {
			list += fmt.Sprintf(" | … (%d)", len(values))
		}
		out = append(out, list)
	}
	return strings.Join(out, ", ")
}

func printBroken(w io.Writer, broken []*configv1.BrokenIntegration, asJSON bool) error {
	if asJSON {
		return printAllJSON(w, broken)
	}
	t := screen.NewTable(w, "what", "connection", "since", "field", "problem").WrapAt(90)
	if len(broken) == 0 {
		_, err := fmt.Fprintln(w, "none is broken")
		return err
	}
	for _, b := range broken {
		what := "integration " + b.GetIntegration()
		if b.GetReportPush() != "" {
			what = "report push " + b.GetReportPush()
		}
		for _, p := range b.GetProblems() {
			t.AppendRow(screen.Row{
				fmt.Sprintf("%s (version %d)", what, b.GetVersion()), b.GetConnection(),
				b.GetFoundAt().AsTime().Format("2006-01-02 15:04:05"), p.GetField(), p.GetDescription(),
			})
		}
	}
	t.Render()
	_, err := fmt.Fprintf(w, "%d broken\n", len(broken))
	return err
}

func printRefreshed(w io.Writer, answer *configv1.RefreshCatalogueResponse, asJSON bool) error {
	if asJSON {
		return printJSON(w, answer)
	}
	t := screen.NewTable(w, "object", "")
	for _, o := range answer.GetObjects() {
		what := "as before"
		switch {
		case o.GetGone():
			what = "not there, or not for the integration user"
		case o.GetChanged():
			what = "changed"
		}
		t.AppendRow(screen.Row{o.GetName(), what})
	}
	t.Render()
	return printBroken(w, answer.GetBroken(), false)
}

func mark(yes bool) string {
	if yes {
		return "✓"
	}
	return "–"
}

// printNamed prints a message with the integration it is about.
func printNamed(w io.Writer, integration string, m proto.Message) error {
	data, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(map[string]any{"integration": integration, "result": json.RawMessage(data)})
}
