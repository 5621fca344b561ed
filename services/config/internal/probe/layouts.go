package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// layoutObjects are those beside whose records the related list "Videos" is shown, with its name on their layouts.
var layoutObjects = []string{"Contact", "Lead"}

func relatedList(object string) string { return "Engagement__c." + object + "__c" }

// maxLayouts bounds how many layouts are read: each costs a call (promise 7).
const maxLayouts = 40

// layout is a page layout that is assigned to a profile.
type layout struct{ id, object, name string }

// askLayouts reads every layout that is in use for the related list (LOOM-9). Source: Tooling API Developer Guide, "Layout",
// "ProfileLayout" and "FlexiPage".
func askLayouts(ctx context.Context, org Tooling, found *[]*configv1.LayoutCheck) finding {
	layouts, err := activeLayouts(ctx, org)
	if err != nil {
		return unchecked(err)
	}
	pages, err := recordPages(ctx, org)
	if err != nil {
		return unchecked(err)
	}
	var lacking []string
	for _, l := range layouts[:min(len(layouts), maxLayouts)] {
		present, err := shows(ctx, org, l)
		if err != nil {
			return unchecked(err)
		}
		*found = append(*found, &configv1.LayoutCheck{Object: l.object, Layout: l.name, Present: present})
		if !present {
			lacking = append(lacking, l.object+": "+l.name)
		}
	}
	if len(pages) > 0 {
		lacking = append(lacking, pages...)
	}
	detail := strings.Join(lacking, "; ")
	switch {
	case len(layouts) > maxLayouts:
		f := finding{status: configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK, text: textUnchecked}
		f.detail = fmt.Sprintf("%d of %d layouts", maxLayouts, len(layouts))
		return f
	case len(lacking) > len(pages):
		return blocked(0, textLayoutsLack, detail)
	}
	return ok(textLayouts, detail)
}

// activeLayouts are those that some profile uses, by object and name.
func activeLayouts(ctx context.Context, org Tooling) ([]layout, error) {
	objects := salesforce.QuoteList(layoutObjects)
	assigned, err := org.Tooling(ctx, "SELECT LayoutId FROM ProfileLayout WHERE TableEnumOrId IN "+objects)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, r := range assigned {
		used[r.String("LayoutId")] = true
	}
	all, err := org.Tooling(ctx, "SELECT Id, Name, TableEnumOrId FROM Layout WHERE TableEnumOrId IN "+objects)
	if err != nil {
		return nil, err
	}
	var out []layout
	for _, r := range all {
		if used[r.String("Id")] {
			out = append(out, layout{id: r.String("Id"), object: r.String("TableEnumOrId"), name: r.String("Name")})
		}
	}
	slices.SortFunc(out, func(a, b layout) int { return strings.Compare(a.object+a.name, b.object+b.name) })
	return out, nil
}

// shows reads one layout back. The list of a package with a namespace has that before its names.
func shows(ctx context.Context, org Tooling, l layout) (bool, error) {
	rows, err := org.Tooling(ctx, "SELECT Metadata FROM Layout WHERE Id = "+salesforce.Quote(l.id))
	if err != nil || len(rows) == 0 {
		return false, err
	}
	lists, _ := rows[0].Value("Metadata.relatedLists").([]any)
	for _, item := range lists {
		entry, _ := item.(map[string]any)
		name, _ := entry["relatedList"].(string)
		if bareList(name) == relatedList(l.object) {
			return true, nil
		}
	}
	return false, nil
}

// bareList is a related list's name without namespaces.
func bareList(name string) string {
	object, field, _ := strings.Cut(name, ".")
	return bareName(object) + "." + bareName(field)
}

func bareName(name string) string {
	rest, custom := strings.CutSuffix(name, "__c")
	if !custom {
		return name
	}
	if _, after, spaced := strings.Cut(rest, "__"); spaced {
		rest = after
	}
	return rest + "__c"
}

// recordPages names record pages of the Lightning App Builder: what they show is not on the layout alone.
func recordPages(ctx context.Context, org Tooling) ([]string, error) {
	rows, err := org.Tooling(ctx, "SELECT MasterLabel, EntityDefinitionId FROM FlexiPage WHERE Type = 'RecordPage' AND EntityDefinitionId IN "+
		salesforce.QuoteList(layoutObjects))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range rows {
		out = append(out, "record page of "+r.String("EntityDefinitionId")+": "+r.String("MasterLabel"))
	}
	slices.Sort(out)
	return out, nil
}
