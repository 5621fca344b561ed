package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
)

func testTracking(t *testing.T, p *platform) {
	t.Attr("requirement", "LOOM-20")
	p.customer(rig.Customer{ID: "tracking", Leads: []string{"mia@viewer.example"}})
	put := func(on bool, version int64) int64 {
		saved, err := p.Config.PutContentSetting(t.Context(), &configv1.PutContentSettingRequest{
			Setting: &configv1.ContentSetting{Workspace: "tracking", ContentId: "tour", Tracking: on, Version: version},
		})
		require.NoError(t, err)
		p.process.AwaitSettings()
		return saved.GetSetting().GetVersion()
	}
	version := put(false, 0)
	unseen, off := rig.Watched("tracking", "mia@viewer.example"), rig.Watched("tracking", "mia@viewer.example")
	off.Tracking = proto.Bool(false)
	p.Send(unseen, off)
	p.Quiet()
	require.Empty(t, p.Records("tracking", "Engagement__c"))
	for _, e := range []*rig.Event{unseen, off} {
		require.Equal(t, []string{"ingest SKIPPED(TRACKING_OFF)"}, p.Ended("tracking", e.ID))
	}
	viewed := rig.Watched("tracking", "mia@viewer.example")
	viewed.Tracking = proto.Bool(true)
	p.Send(viewed)
	p.Quiet()
	require.Len(t, p.Records("tracking", "Engagement__c"), 1, "the switch at view time counts, not today's")

	put(true, version)
	p.Send(rig.Watched("tracking", "mia@viewer.example"))
	p.Quiet()
	rows := p.Records("tracking", "Engagement__c")
	require.Len(t, rows, 1)
	require.EqualValues(t, 2, rows[0]["Visit_Count__c"], "what was not tracked does not come back")
}

func testEdits(t *testing.T, p *platform) {
	t.Attr("requirement", "IMM-17")
	p.customer(rig.Customer{ID: "edits", Leads: []string{"mia@viewer.example"}, Recipes: []string{"document-close-task"}})
	subject := func(i *configv1.Integration, text string) *configv1.Integration {
		i = proto.CloneOf(i)
		for _, f := range i.GetActions()[0].GetFields() {
			if f.GetField() == "Subject" {
				f.Source = &configv1.FieldMapping_Constant{Constant: &configv1.Constant{Value: &configv1.Constant_Text{Text: text}}}
			}
		}
		return i
	}
	got, err := p.Config.GetIntegration(t.Context(), &configv1.GetIntegrationRequest{Workspace: "edits", Integration: "document-close-task"})
	require.NoError(t, err)
	first := p.Put(subject(got.GetIntegration(), "by the first rule"))
	second := p.Put(subject(first, "by the second rule"))
	created := proto.CloneOf(second)
	created.Id, created.Version, created.EffectiveFrom = "made-later", 0, nil
	created = p.Put(subject(created, "by a rule made later"))
	p.process.AwaitSettings()

	before, after := rig.Closed("edits", "mia@viewer.example"), rig.Closed("edits", "mia@viewer.example")
	before.Time = second.GetEffectiveFrom().AsTime().Add(-time.Microsecond)
	after.Time = created.GetEffectiveFrom().AsTime().Add(time.Microsecond)
	p.Send(after, before)
	p.Quiet()
	var subjects []any
	for _, task := range p.Records("edits", "Task") {
		subjects = append(subjects, task["Subject"])
	}
	require.ElementsMatch(t, []any{"by the first rule", "by the second rule", "by a rule made later"}, subjects)
	for event, version := range map[*rig.Event]int64{before: first.GetVersion(), after: second.GetVersion()} {
		var named []int64
		for _, o := range p.Outcomes(&configv1.ListOutcomesRequest{Workspace: "edits", EventId: event.ID, Status: streamv1.Status_STATUS_WRITTEN}) {
			if o.GetIntegration() == "document-close-task" {
				named = append(named, o.GetIntegrationVersion())
			}
		}
		require.Equal(t, []int64{version}, named, "the result names the version")
	}
}
