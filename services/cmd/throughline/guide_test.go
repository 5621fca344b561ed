package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

func TestTheGuideIsPrintedWithThisInstallationsValues(t *testing.T) {
	t.Attr("requirement", "IMM-12")
	t.Parallel()
	i := newInstallation(t)
	en := i.output(t, "connect", "--workspace", "acme", "--guide")
	for _, want := range []string{"external client app", "classic connected app", "/oauth/callback", "api, refresh_token", "Callback URL", "Reveal key and secret"} {
		require.Contains(t, en, want)
	}
	require.Contains(t, i.output(t, "connect", "--workspace", "acme", "--guide", "--lang", "ja"), "コールバック URL")
	require.Contains(t, i.output(t, "connect", "--workspace", "acme", "--guide", "--json"), `"kind":"APP_KIND_EXTERNAL_CLIENT_APP"`)
	var out bytes.Buffer
	require.ErrorContains(t, i.run(t.Context(), nil, &out, "connect", "--workspace", "acme", "--guide", "--lang", "fr"), "--lang")
	require.Error(t, i.run(t.Context(), nil, &out, "connect", "--workspace", "acme"), "without --guide it needs a connection")
}

func TestWhatIsLeftToDoIsPrinted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	printSetup(&out, guideRequest{lang: "en"}, "crm", &configv1.GetSetupGuideResponse{
		Status: &configv1.ConnectionStatus{State: configv1.ConnectionState_CONNECTION_STATE_PACKAGE_MISSING},
		Package: &configv1.PackageReport{
			RequiredVersion: "1.1", InstallUrl: "https://login.salesforce.com/packaging/x",
			Unavailable: []*configv1.UnavailableFeature{{SinceVersion: "1.2", En: "clicks", Fields: []string{"Engagement__c.CTA_Clicks__c"}}},
		},
		Policies: []*configv1.ProbeResult{{Status: configv1.ProbeStatus_PROBE_STATUS_BLOCKED, En: &configv1.ProbeText{Finding: "refresh token", Where: "Setup › Policies"}}},
		Findings: []*configv1.ProbeResult{{Probe: "package_viewers", En: &configv1.ProbeText{Finding: "assign Engagement Viewer"}, Detail: "x"}},
		Layouts:  []*configv1.LayoutCheck{{Object: "Lead", Layout: "Sales", Present: false}},
		Outgoing: &configv1.OutgoingAddresses{
			Networks: []string{"203.0.113.0/28"}, Announced: []*configv1.OutgoingChange{{Network: "198.51.100.0/28"}}, Where: &configv1.GuideText{En: "Login IP Ranges"},
		},
	})
	for _, want := range []string{
		"crm: PACKAGE_MISSING, never looked at", "package: not found; 1.1 or later", "packaging/x", "not available before version 1.2: clicks",
		"✗ contradicted", "assign Engagement Viewer (x)", "Lead: Sales", "203.0.113.0/28; allow them at Login IP Ranges", "198.51.100.0/28 as well",
	} {
		require.Contains(t, out.String(), want)
	}
}

// lacking is an org in which fields are missing.
type lacking struct {
	configv1.SetupServiceClient
	asked []*configv1.ListMissingFieldsRequest
}

func (l *lacking) ListMissingFields(_ context.Context, req *configv1.ListMissingFieldsRequest, _ ...grpc.CallOption) (*configv1.ListMissingFieldsResponse, error) {
	l.asked = append(l.asked, req)
	if req.GetSaved() == "fine" {
		return &configv1.ListMissingFieldsResponse{}, nil
	}
	return &configv1.ListMissingFieldsResponse{
		User:   "hana@acme.example",
		Fields: []*configv1.MissingField{{Object: "Task", Field: "Mood__c", Label: "Mood", Type: "Text", Length: 255}},
		Text:   &configv1.GuideText{En: "Task\tMood__c\n", Ja: "ToDo\tMood__c\n"},
	}, nil
}

func TestMissingFieldsAreListedAndCopied(t *testing.T) {
	t.Attr("requirement", "WALK-7")
	t.Parallel()
	run := func(f missingFlags) string {
		t.Helper()
		requests, err := f.requests(strings.NewReader(ruleFile))
		require.NoError(t, err)
		var out bytes.Buffer
		require.NoError(t, f.run(t.Context(), &lacking{}, requests, &out))
		return out.String()
	}
	listed := run(missingFlags{files: []string{"-"}, lang: "en"})
	require.Contains(t, listed, "Mood__c")
	require.Contains(t, listed, "good: these are not there, or not visible to hana@acme.example")
	require.Contains(t, listed, "bad: these are not there")
	require.Equal(t, "ToDo\tMood__c\n", run(missingFlags{workspace: "acme", saved: "x", lang: "ja", copyable: true}))
	require.Equal(t, "fine: nothing is missing\n", run(missingFlags{workspace: "acme", saved: "fine", lang: "en"}))
	require.Contains(t, run(missingFlags{workspace: "acme", saved: "x", lang: "en", asJSON: true}), `"label":"Mood"`)
	_, err := (&missingFlags{saved: "x"}).requests(nil)
	require.ErrorContains(t, err, "--workspace")
}

func TestRecordedEngagementsAreChosenByFlags(t *testing.T) {
	t.Parallel()
	for _, f := range []recordedFlags{{engagement: "e"}, {event: "v"}, {newest: 5}} {
		f.since, f.reveal = "2026-03-01T09:00:00Z", true
		s, err := f.selection()
		require.NoError(t, err)
		require.Equal(t, f.engagement, s.GetEngagementId())
		require.Equal(t, f.event, s.GetEventId())
		require.Equal(t, f.newest, s.GetNewest())
		require.True(t, s.GetReveal())
		require.Equal(t, 2026, s.GetSince().AsTime().Year())
	}
	s, err := (&recordedFlags{}).selection()
	require.NoError(t, err)
	require.Nil(t, s, "samples are meant")
	_, err = (&recordedFlags{reveal: true}).selection()
	require.ErrorContains(t, err, "--newest")
	_, err = (&recordedFlags{newest: 1, since: "yesterday"}).selection()
	require.ErrorContains(t, err, "--since")
	require.Contains(t, recordedText(&configv1.RecordedEngagement{VisitId: "v1", Masked: true, Unresolved: true}), "people are made up, nobody was looked for")
}
