package decide_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/mapping/decide"
)

// later is a newer version of a rule, in force since after the visit.
func later(rule *configv1.Integration, change func(*configv1.Integration)) *configv1.Integration {
	next := proto.CloneOf(rule)
	next.Version, next.EffectiveFrom = 2, timestamppb.New(integrationtest.Left.Add(10*time.Minute))
	if change != nil {
		change(next)
	}
	return next
}

func (b *testBundle) remap(t *testing.T, resolved *streamv1.Resolved, r *topic.Remap) decide.Result {
	t.Helper()
	result, err := b.mapper.Map(decide.Input{Workspace: b.workspace, Resolved: resolved, SettingsRevision: 7, Now: now, Remap: r})
	require.NoError(t, err)
	return result
}

func constant(field, text string) *configv1.FieldMapping {
	return &configv1.FieldMapping{Field: field, Source: &configv1.FieldMapping_Expression{Expression: "'" + text + "'"}}
}

func TestRemap(t *testing.T) {
	t.Parallel()
	task, row := build(t, "document-close-task"), build(t, "document-engagement")
	key := ids.WriteKey("acme", task.GetId(), "task", "visit-1")
	wanted := &topic.Remap{Integration: task.GetId(), WriteKey: key}
	division := &configv1.FieldMapping{
		Field: "Score__c", Source: &configv1.FieldMapping_Expression{Expression: "1 / (size(viewer.email) - size(viewer.email))"},
	}

	t.Run("makes what failed by the newest version, with the same key and revision, and nothing else", func(t *testing.T) {
		t.Parallel()
		b := setup(t, task, later(task, func(i *configv1.Integration) {
			i.Actions[0].Fields = append(i.Actions[0].Fields, constant("Campaign_Code__c", "C-1"))
		}), row, later(row, nil))
		in := b.seal(t, integrationtest.Document())
		before := b.run(t, in)
		require.Len(t, before.Writes, 2)
		after := b.remap(t, in, wanted)
		require.Empty(t, after.Outcomes)
		require.Len(t, after.Writes, 1)
		w := after.Writes[0]
		require.Equal(t, key, w.GetWriteKey())
		require.EqualValues(t, 2, w.GetIntegrationVersion())
		require.Equal(t, before.Writes[0].GetRevision(), w.GetRevision())
		require.Equal(t, "C-1", integrationtest.Fields(b.open(t, w))["Campaign_Code__c"])
	})

	t.Run("makes it by the rules of that time when nobody asks for others", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-7")
		b := setup(t, task, later(task, func(i *configv1.Integration) {
			i.Actions[0].Fields = append(i.Actions[0].Fields, constant("Campaign_Code__c", "C-1"))
		}), row, later(row, nil))
		in := b.seal(t, integrationtest.Document())
		in.Org = "00D000000000002EAA"
		after := b.remap(t, in, &topic.Remap{Integration: task.GetId(), WriteKey: key, Then: true})
		require.Empty(t, after.Outcomes)
		require.Len(t, after.Writes, 1, "and nothing else")
		require.Equal(t, key, after.Writes[0].GetWriteKey())
		require.Equal(t, b.run(t, in).Writes[0].GetIntegrationVersion(), after.Writes[0].GetIntegrationVersion())
		require.NotContains(t, integrationtest.Fields(b.open(t, after.Writes[0])), "Campaign_Code__c")
		require.Equal(t, in.GetOrg(), after.Writes[0].GetOrg(), "the writer makes it in no other org (LOOM-14)")
	})

	t.Run("of what failed in mapping, leaves alone what did not", func(t *testing.T) {
		t.Parallel()
		broken := proto.CloneOf(task)
		second := proto.CloneOf(broken.GetActions()[0])
		second.Name = "second"
		broken.Actions = append(broken.Actions, second)
		broken.Actions[0].Fields = append(broken.Actions[0].Fields, division)
		b := setup(t, broken, later(broken, func(i *configv1.Integration) {
			i.Actions[0].Fields = i.Actions[0].Fields[:len(i.Actions[0].Fields)-1]
			i.Actions[1].Name = "renamed" // has another key: it would be there twice
		}), row, later(row, nil))
		in := b.seal(t, integrationtest.Document())
		before := b.run(t, in)
		require.NotNil(t, before.Failure)
		require.Len(t, before.Writes, 2, "the second to-do and the row")
		after := b.remap(t, in, &topic.Remap{})
		require.Len(t, after.Writes, 1)
		require.Equal(t, key, after.Writes[0].GetWriteKey())
		require.Nil(t, after.Failure)
	})

	t.Run("makes everything of a version that never compiled", func(t *testing.T) {
		t.Parallel()
		broken := proto.CloneOf(task)
		broken.Condition = "no.such.thing"
		b := setup(t, broken, later(task, nil), row)
		in := b.seal(t, integrationtest.Document())
		require.NotNil(t, b.run(t, in).Failure)
		after := b.remap(t, in, &topic.Remap{})
		require.Len(t, after.Writes, 1)
		require.Equal(t, key, after.Writes[0].GetWriteKey())
	})

	t.Run("fails again while the newest version is broken", func(t *testing.T) {
		t.Parallel()
		for name, change := range map[string]func(*configv1.Integration){
			"at run time": func(i *configv1.Integration) { i.Actions[0].Fields = append(i.Actions[0].Fields, division) },
			"as a whole":  func(i *configv1.Integration) { i.Condition = "no.such.thing" },
		} {
			b := setup(t, task, later(task, change))
			after := b.remap(t, b.seal(t, integrationtest.Document()), wanted)
			require.Empty(t, after.Writes, name)
			require.NotNil(t, after.Failure, name)
			require.EqualValues(t, 2, after.Failure.GetIntegrationVersion())
		}
	})

	t.Run("says so when the newest version makes nothing of it", func(t *testing.T) {
		t.Parallel()
		for name, change := range map[string]func(*configv1.Integration){
			"condition": func(i *configv1.Integration) { i.Condition = "false" },
			"renamed":   func(i *configv1.Integration) { i.Actions[0].Name = "renamed" },
			"trigger":   func(i *configv1.Integration) { i.ContentIds = []string{"another"} },
			"disabled":  func(i *configv1.Integration) { i.Enabled = false },
		} {
			b := setup(t, task, later(task, change))
			after := b.remap(t, b.seal(t, integrationtest.Document()), wanted)
			require.Empty(t, after.Writes, name)
			require.Len(t, after.Outcomes, 1, name)
			require.Equal(t, streamv1.Reason_REASON_NO_WORKFLOW, after.Outcomes[0].GetReason(), name)
			require.Equal(t, streamv1.Status_STATUS_SKIPPED, after.Outcomes[0].GetStatus(), name)
		}
	})

	t.Run("knows no past of what began later", func(t *testing.T) {
		t.Parallel()
		b := setup(t, later(task, nil))
		require.Empty(t, b.remap(t, b.seal(t, integrationtest.Document()), &topic.Remap{}).Writes)
	})
}
