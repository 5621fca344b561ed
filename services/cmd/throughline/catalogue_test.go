package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

const ruleFile = `
kind: Integration
workspace: acme
id: good
connection: main
trigger: TRIGGER_VISIT_CLOSED
actions: [{name: a, object: Task, operation: ACTION_OPERATION_INSERT, scope: SCOPE_VISIT, marker_field: Description}]
---
recipe: document-close-task
workspace: acme
id: bad
connection: main
---
kind: Workspace
id: acme
name: Acme
`

// offers is a catalogue in which one integration does not fit.
type offers struct {
	configv1.CatalogueServiceClient
	previewed []*configv1.PreviewIntegrationRequest
}

func (*offers) ValidateIntegration(_ context.Context, req *configv1.ValidateIntegrationRequest, _ ...grpc.CallOption) (*configv1.ValidateIntegrationResponse, error) {
	if req.GetIntegration().GetId() == "good" {
		return &configv1.ValidateIntegrationResponse{Notes: []string{"the campaign is inactive"}}, nil
	}
	return &configv1.ValidateIntegrationResponse{Problems: []*configv1.IntegrationProblem{
		{Field: "actions[0].fields[0].field", Description: "SF_FIELD_GONE: Task has no field Subject"},
	}}, nil
}

func (o *offers) PreviewIntegration(_ context.Context, req *configv1.PreviewIntegrationRequest, _ ...grpc.CallOption) (*configv1.PreviewIntegrationResponse, error) {
	o.previewed = append(o.previewed, req)
	return &configv1.PreviewIntegrationResponse{Results: []*configv1.PreviewResult{
		{
			Sample: "one", Input: &configv1.PreviewSample{Name: "one", Engagement: &streamv1.Engagement{Views: 3, Visit: &streamv1.Visit{}}},
			Writes: []*configv1.PreviewWrite{{
				Action: "row", Object: "Row__c", Operation: streamv1.Operation_OPERATION_UPSERT, ExternalIdField: "Key__c", ExternalId: "k1",
				Fields: []*configv1.PreviewField{
					{Value: &streamv1.FieldValue{Field: "Views__c", Value: &streamv1.FieldValue_Number{Number: 3}}, Source: "path engagement.views"},
					{Value: &streamv1.FieldValue{Field: "Lead__c"}, Source: "path resolution.lead.record_id"},
				},
				Warnings: []string{"VALUE_TRUNCATED Title__c: 300 characters cut to 255"},
			}},
		},
		{Sample: "two", Skipped: []*streamv1.Outcome{{
			Status: streamv1.Status_STATUS_SKIPPED, Reason: streamv1.Reason_REASON_NO_MATCH, Object: "Row__c", Detail: "nobody there",
		}}},
		{Sample: "three", PassedOver: "the condition does not hold"},
	}}, nil
}

func rules(t *testing.T) []*configv1.Integration {
	t.Helper()
	path := filepath.Join(t.TempDir(), "acme.yaml")
	require.NoError(t, os.WriteFile(path, []byte(ruleFile), 0o600))
	integrations, err := readIntegrations(nil, []string{path})
	require.NoError(t, err)
	require.Len(t, integrations, 2)
	return integrations
}

func TestCatalogueCheckTellsWhatWouldBeRefused(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := checkIntegrations(t.Context(), &offers{}, rules(t), printer{w: &out})
	require.ErrorContains(t, err, "1 of 2 integrations would be refused")
	require.Contains(t, out.String(), "✓ nothing would keep it from being saved")
	require.Contains(t, out.String(), "note: the campaign is inactive")
	require.Contains(t, out.String(), "✗ SF_FIELD_GONE")

	out.Reset()
	require.NoError(t, checkIntegrations(t.Context(), &offers{}, rules(t)[:1], printer{&out, true}))
	require.JSONEq(t, `{"integration":"good","result":{"notes":["the campaign is inactive"]}}`, out.String())
	_, err = readIntegrations(strings.NewReader("kind: Workspace\nid: acme\nname: Acme\n"), []string{"-"})
	require.ErrorContains(t, err, "no integration")
}

func TestCatalogueTablesShowWhatMatters(t *testing.T) {
	t.Parallel()
	at := timestamppb.New(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
	var out bytes.Buffer
	require.NoError(t, printObjects(&out, &configv1.ListObjectsResponse{
		Objects: []*configv1.ObjectSummary{{Name: "Task", Label: "ToDo", Createable: true}}, AskedAt: at,
	}, false))
	require.Regexp(t, `Task +│ ToDo +│ ✓ +│ –`, out.String())
	require.Contains(t, out.String(), "1 objects, as of 2026-03-01 09:00:00")

	out.Reset()
	fields := []*configv1.DescribedField{
		{Name: "Key__c", Type: "string", Length: 64, Createable: true, ExternalId: true, Unique: true},
		{Name: "Owner", Type: "reference", Length: 18, ReferenceTo: []string{"User", "Group"}, Nillable: true},
		{Name: "N__c", Type: "double", Precision: 8, Scale: 2, Nillable: true, Encrypted: true},
		{Name: "Flag__c", Type: "boolean", Createable: true},
		{Name: "P__c", Type: "picklist", Nillable: true},
	}
	for range 10 {
		fields[4].Picklist = append(fields[4].Picklist, &configv1.PicklistChoice{Value: "v"})
	}
	answer := &configv1.DescribeObjectResponse{Object: &configv1.DescribedObject{Name: "Row__c", Label: "Row", Fields: fields}, AskedAt: at}
	require.NoError(t, printDescription(&out, answer, false))
	for _, want := range []string{
		`Key__c .* string\(64\) .* required, external id, unique`, `Owner .* reference to User, Group`, `N__c .* double\(8,2\) .* encrypted`,
		`Flag__c .* boolean +│ ✓ +│ – +│ +│`, `v \| v \| v \| v \| v \| v \| v \| v \| … \(10\)`,
	} {
		require.Regexp(t, want, out.String())
	}

	out.Reset()
	broken := []*configv1.BrokenIntegration{{Integration: "rule", Version: 3, Connection: "main", FoundAt: at, Problems: []*configv1.IntegrationProblem{
		{Field: "actions[0].object", Description: "SF_FIELD_GONE: gone"},
	}}}
	require.NoError(t, printRefreshed(&out, &configv1.RefreshCatalogueResponse{
		Objects: []*configv1.RefreshedObject{{Name: "A", Changed: true}, {Name: "B", Changed: true, Gone: true}, {Name: "C"}}, Broken: broken,
	}, false))
	for _, want := range []string{`A +│ changed`, `B +│ not there`, `C +│ as before`, `rule \(version 3\) │ main`, `1 broken`} {
		require.Regexp(t, want, out.String())
	}
	out.Reset()
	require.NoError(t, printBroken(&out, broken, true))
	require.True(t, json.Valid(out.Bytes()))
}

func TestPreviewShowsRecordsAndReasons(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "acme.yaml")
	require.NoError(t, os.WriteFile(path, []byte(ruleFile), 0o600))
	samples := filepath.Join(t.TempDir(), "mine.json")
	require.NoError(t, os.WriteFile(samples, []byte(`{"engagement_id": "e1", "visit": {}} {"name": "b", "engagement": {"views": 2, "visit": {}}}`), 0o600))
	f := previewFlags{files: []string{path}, samples: samples}
	requests, err := f.requests(nil)
	require.NoError(t, err)
	service := &offers{}
	var out bytes.Buffer
	require.NoError(t, f.run(t.Context(), service, requests, &out))
	require.Len(t, service.previewed, 2)
	require.Equal(t, "acme", service.previewed[0].GetWorkspace())
	require.Equal(t, "e1", service.previewed[0].GetSamples()[0].GetEngagement().GetEngagementId())
	require.Equal(t, "b", service.previewed[0].GetSamples()[1].GetName())
	for _, want := range []string{
		`good · one`, `UPSERT Row__c, Key__c = k1  \(action row\)`, `Views__c │ 3 +│ path engagement.views`, `Lead__c  │ \(cleared\)`,
		`would be refused by apply:\n  actions\[0\]\.fields\[0\]\.field: SF_FIELD_GONE`,
		`note: VALUE_TRUNCATED`, `SKIPPED\(NO_MATCH\) Row__c: nobody there`, `nothing: the condition does not hold`,
	} {
		require.Regexp(t, want, out.String())
	}
	require.NotContains(t, out.String(), "good would be refused")

	// What is printed as samples is read as samples.
	out.Reset()
	f.inputs = true
	require.NoError(t, f.run(t.Context(), service, requests, &out))
	require.NoError(t, os.WriteFile(samples, out.Bytes(), 0o600))
	read, err := readSamples(nil, samples)
	require.NoError(t, err)
	require.Equal(t, uint32(3), read[0].GetEngagement().GetViews())

	f = previewFlags{saved: "rule"}
	_, err = f.requests(nil)
	require.ErrorContains(t, err, "--workspace")
	f.workspace = "acme"
	requests, err = f.requests(nil)
	require.NoError(t, err)
	require.Equal(t, "rule", requests[0].request.GetSaved())

	for _, bad := range []string{"", "[]", "[1]", `{"engagement": {"views": "many"}}`, `{"engagement": {"nothing": 1}}`, "{"} {
		require.NoError(t, os.WriteFile(samples, []byte(bad), 0o600))
		_, err := readSamples(nil, samples)
		require.ErrorContains(t, err, "--samples", bad)
	}
}

func FuzzParseSample(f *testing.F) {
	f.Add([]byte(`{"engagement": {"views": 2, "visit": {"state": "VISIT_STATE_CLOSED"}}, "viewer": {"email": "a@example.com"}}`))
	f.Add([]byte(`{"engagement_id": "e1"}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		sample, err := parseSample(value)
		if err == nil {
			require.NotNil(t, sample)
		}
	})
}
