package delivery_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

const (
	lead    = "00QSM0000000001AAA"
	contact = "003SM0000000001AAA"
	other   = "003SM0000000002AAA"
)

// task is an insert about a Lead.
func (b *testBundle) task(key string) *streamv1.Write {
	b.t.Helper()
	return b.upsert(write{
		key: key, fields: map[string]any{"WhoId": lead, "Description": "seen\nThroughline: " + key},
		change: func(w *streamv1.Write) {
			w.Object, w.Operation, w.ExternalIdField, w.ExternalId = "Task", streamv1.Operation_OPERATION_INSERT, "", ""
			w.Marker, w.MarkerField = "Throughline: "+key, "Description"
			w.MarkerScopeField, w.MarkerScopeValue = "WhoId", lead
			w.PersonLinks = []*streamv1.PersonLink{{Field: "WhoId", ContactField: "WhoId"}}
		},
	})
}

// row is an engagement row that links to a Lead.
func (b *testBundle) row(key string, fields map[string]any) *streamv1.Write {
	b.t.Helper()
	fields["Lead__c"] = lead
	return b.upsert(write{key: key, fields: fields, change: func(w *streamv1.Write) {
		w.PersonLinks = []*streamv1.PersonLink{{Field: "Lead__c", ContactField: "Contact__c"}}
	}})
}

func TestConvertedLead(t *testing.T) {
	t.Parallel()

	t.Run("ItsContactTakesItsPlace", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-35")
		t.Attr("requirement", "LOOM-35")
		b := setup(t)
		b.org.Converted = map[string]string{lead: contact}
		b.accept(b.task("task"), b.row("row", map[string]any{"Contact__c": nil}), b.row("linked", map[string]any{"Contact__c": other}))
		b.settled(3)
		require.Equal(t, map[string]string{"task/1": "WRITTEN", "row/1": "WRITTEN", "linked/1": "WRITTEN"}, b.outcomes())
		require.Equal(t, contact, b.org.Records("Task")[0].Fields["WhoId"])
		for _, r := range b.org.Records("Engagement__c") {
			require.Nil(t, r.Fields["Lead__c"])
			require.Equal(t, map[string]any{"row": contact, "linked": other}[r.Key], r.Fields["Contact__c"])
		}
		for _, o := range b.all() {
			if o.GetStatus() == streamv1.Status_STATUS_WRITTEN {
				require.Contains(t, o.GetNotes(), "LEAD_CONVERTED")
			}
		}
		for _, soql := range b.org.Queries() {
			require.Contains(t, soql, "FROM Lead", "no look for the marker: the refusals were definite")
		}
	})

	t.Run("WithoutAContactToSeeTheWriteFails", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-35")
		b := setup(t)
		b.org.Converted = map[string]string{lead: ""}
		b.accept(b.task("task"))
		b.settled(1)
		require.Equal(t, map[string]string{"task/1": "FAILED SF_CONVERTED_LEAD"}, b.outcomes())
		require.Len(t, b.org.Requests(), 1)
		require.Zero(t, b.table.Len(), "nothing was made")
	})

	t.Run("ItIsAskedOnce", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-35")
		b := setup(t)
		b.org.Converted = map[string]string{lead: contact, contact: ""}
		b.accept(b.task("task"))
		b.settled(1)
		require.Equal(t, map[string]string{"task/1": "FAILED SF_CONVERTED_LEAD"}, b.outcomes())
		require.Len(t, b.org.Queries(), 1)
	})

	t.Run("AnOrgThatCannotBeAskedIsAskedAgain", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.org.Converted = map[string]string{lead: contact}
		var asked atomic.Int64
		b.org.QueryFault = func(string) *orgtest.Fault {
			if asked.Add(1) == 1 {
				return &orgtest.Fault{Status: 503, Body: apiError("SERVER_UNAVAILABLE", "Server Unavailable")}
			}
			return nil
		}
		b.accept(b.task("task"))
		b.settled(1)
		require.Equal(t, map[string]string{"task/1": "WRITTEN"}, b.outcomes())
	})

	t.Run("AnAnswerNobodyKnowsIsAskedForAgain", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.org.Converted = map[string]string{lead: contact}
		var asked atomic.Int64
		b.org.QueryFault = func(string) *orgtest.Fault {
			if asked.Add(1) > 1 {
				return nil
			}
			return &orgtest.Fault{Status: 400, Body: apiError("NEW_IN_THIS_RELEASE", "Something nobody has seen yet")}
		}
		b.accept(b.task("task"))
		b.settled(1)
		require.Equal(t, map[string]string{"task/1": "WRITTEN"}, b.outcomes())
		require.EqualValues(t, 2, asked.Load())
	})

	t.Run("WhatACrashLeftInDoubtIsSoughtUnderTheContactToo", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-4")
		b := setup(t)
		w := b.task("task")
		intent, err := ledger.Intend(w, nil, time.Now().Add(-time.Minute))
		require.NoError(t, err)
		b.table.Apply(intent)
		// Converting the Lead has moved the task that the dead process made.
		b.org.Add("Task", time.Now(), map[string]any{"WhoId": contact, "Description": "seen\nThroughline: task"})
		b.org.Converted = map[string]string{lead: contact}
		b.accept(w)
		b.settled(1)
		require.Equal(t, map[string]string{"task/1": "WRITTEN"}, b.outcomes())
		require.Len(t, b.org.Records("Task"), 1)
	})
}

func TestRefusedOwner(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string][2]string{
		"Inactive":       {"INACTIVE_OWNER_OR_USER", "operation performed with inactive user [005X] as owner of task"},
		"Queue":          {"FIELD_INTEGRITY_EXCEPTION", "Queue not associated with this SObject type"},
		"WithoutLicence": {"OP_WITH_INVALID_USER_TYPE_EXCEPTION", "Operation not valid for this user type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("requirement", "IMM-30")
			b := setup(t)
			b.org.Refuse = func(r map[string]any) (string, string) {
				if r["OwnerId"] != nil {
					return refusal[0], refusal[1]
				}
				return "", ""
			}
			nobody := b.upsert(write{key: "nobody", fields: map[string]any{"OwnerId": "005X"}})
			b.accept(b.insert(write{key: "person", who: "1"}), nobody)
			b.settled(2)
			require.Equal(t, "WRITTEN", b.outcomes()["person/1"])
			require.Contains(t, b.outcomes()["nobody/1"], "FAILED OWNER_")
			require.Len(t, b.org.Requests(), 3, "one retry, of the record that has a person")
			require.Empty(t, b.org.Queries(), "a definite refusal leaves nothing to look for")
		})
	}
}
