package probe_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/probe"
)

// without hides fields from the user.
func (o *org) without(object string, fields ...string) {
	d := *o.objects[object]
	var left []salesforce.FieldDescribe
	for _, f := range d.Fields {
		if !strings.Contains(" "+strings.Join(fields, " ")+" ", " "+f.Name+" ") {
			left = append(left, f)
		}
	}
	d.Fields = left
	o.objects[object] = &d
}

// Tooling has a layout of each object in use, and one of leads that nobody uses.
func (o *org) Tooling(_ context.Context, soql string) ([]salesforce.Record, error) {
	if o.toolingErr != nil {
		return nil, o.toolingErr
	}
	switch {
	case strings.Contains(soql, "FROM ProfileLayout"):
		return []salesforce.Record{{"LayoutId": "1"}, {"LayoutId": "2"}}, nil
	case strings.Contains(soql, "SELECT Metadata FROM Layout WHERE Id = '1'"):
		return []salesforce.Record{{"Metadata": map[string]any{"relatedLists": []any{map[string]any{"relatedList": "tl__Engagement__c.tl__Contact__c"}}}}}, nil
	case strings.Contains(soql, "SELECT Metadata"):
		return []salesforce.Record{{"Metadata": map[string]any{"relatedLists": []any{map[string]any{"relatedList": o.leadList}}}}}, nil
	case strings.Contains(soql, "FROM FlexiPage"):
		return o.pages, nil
	}
	return []salesforce.Record{
		{"Id": "2", "Name": "Lead Layout", "TableEnumOrId": "Lead"},
		{"Id": "1", "Name": "Contact Layout", "TableEnumOrId": "Contact"},
		{"Id": "3", "Name": "Example", "TableEnumOrId": "Lead"},
	}, nil
}

func TestTheVersionOfThePackageIsToldByWhatItBrings(t *testing.T) {
	t.Attr("requirement", "LOOM-7")
	t.Parallel()
	newest := "1.2"
	for name, c := range map[string]struct {
		spoil       func(*org)
		needs       string
		installed   string
		unavailable string
		state       connstate.State
	}{
		"Newest":        {func(*org) {}, "1.0", newest, "", connstate.Ready},
		"WithoutClicks": {func(o *org) { o.without("Engagement__c", "CTA_Clicks__c") }, "1.0", "1.1", "calls_to_action", connstate.Ready},
		"First": {
			func(o *org) { o.without("Engagement__c", "CTA_Clicks__c"); o.without("Task", "Throughline_Key__c") },
			"1.0", "1.0", "todo_keys calls_to_action", connstate.Ready,
		},
		"AGapIsTheOlderVersion": {func(o *org) { o.without("Task", "Throughline_Key__c") }, "1.0", "1.0", "todo_keys", connstate.Ready},
		"TooOld":                {func(o *org) { o.without("Engagement__c", "CTA_Clicks__c") }, "1.2", "1.1", "calls_to_action", connstate.NoPackage},
		"JustRight":             {func(*org) {}, "1.2", newest, "", connstate.Ready},
		"FromTheFuture":         {func(*org) {}, "1.10", newest, "", connstate.NoPackage},
		"NotThere":              {func(o *org) { delete(o.objects, "Engagement__c") }, "1.0", "", "", connstate.NoPackage},
	} {
		o, s := newOrg(), subject()
		s.Package = probe.Demand{MinVersion: c.needs, InstallURL: "https://login.salesforce.com/packaging/x"}
		c.spoil(o)
		report := probe.Run(t.Context(), probe.DefaultConfig(), o, s)
		require.Equal(t, c.installed, report.Package.GetInstalledVersion(), name)
		require.Equal(t, c.needs, report.Package.GetRequiredVersion(), name)
		require.Equal(t, s.Package.InstallURL, report.Package.GetInstallUrl(), name)
		var features []string
		for _, f := range report.Package.GetUnavailable() {
			features = append(features, f.GetFeature())
			require.NotEmpty(t, f.GetFields(), name)
			require.NotEmpty(t, f.GetEn()+f.GetJa(), name)
		}
		require.Equal(t, c.unavailable, strings.Join(features, " "), name)
		state, _, known := probe.State(append([]*configv1.ProbeResult{probe.Authorised()}, report.Results...))
		require.True(t, known, name)
		require.Equal(t, c.state, state, name)
	}
}

func TestWhatThePackageBringsIsKnown(t *testing.T) {
	t.Parallel()
	require.True(t, probe.OfPackage("Engagement__c", "Anything__c"))
	require.True(t, probe.OfPackage("Task", "Throughline_Key__c"))
	require.True(t, probe.OfPackage("Content__c", ""))
	require.False(t, probe.OfPackage("Task", "Mood__c"))
	require.False(t, probe.OfPackage("Task", ""))
}

func TestEveryLayoutInUseIsReadBack(t *testing.T) {
	t.Attr("requirement", "LOOM-9")
	t.Parallel()
	o := newOrg()
	o.leadList = "RelatedNoteList"
	o.pages = []salesforce.Record{{"MasterLabel": "Lead Page", "EntityDefinitionId": "Lead"}}
	report := probe.Run(t.Context(), probe.DefaultConfig(), o, subject())
	var told []string
	for _, l := range report.Layouts {
		told = append(told, l.GetObject()+"/"+l.GetLayout())
		require.Equal(t, l.GetObject() == "Contact", l.GetPresent())
	}
	require.Equal(t, []string{"Contact/Contact Layout", "Lead/Lead Layout"}, told, "the example that nobody uses is left out")
	r := run(t, o, subject())[probe.Layouts]
	require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_BLOCKED, r.GetStatus())
	require.False(t, r.GetRequired(), "it keeps nobody from anything")
	require.Equal(t, "Lead: Lead Layout; record page of Lead: Lead Page", r.GetDetail())

	o.toolingErr = &salesforce.Error{Class: salesforce.ClassConfig, Reason: salesforce.ReasonFieldGone, Code: "INVALID_TYPE"}
	report = probe.Run(t.Context(), probe.DefaultConfig(), o, subject())
	require.Empty(t, report.Layouts)
	require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK, run(t, o, subject())[probe.Layouts].GetStatus())
}
