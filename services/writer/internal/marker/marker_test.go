package marker_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/writer/internal/marker"
)

func search(sought ...marker.Sought) marker.Search {
	return marker.Search{
		Object: "Task", Field: "Description", ScopeField: "WhoId", Since: time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC), Sought: sought,
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		"SELECT Id, CreatedDate, IsDeleted, Description FROM Task WHERE WhoId IN ('0031','0032') AND CreatedDate >= 2026-08-01T00:00:00Z ORDER BY CreatedDate, Id",
		"SELECT Id, CreatedDate, IsDeleted, Description FROM Task WHERE WhoId = NULL AND CreatedDate >= 2026-08-01T00:00:00Z ORDER BY CreatedDate, Id",
	}, search(
		marker.Sought{Key: "a", Marker: "m-a", ScopeValue: "0032"}, marker.Sought{Key: "b", Marker: "m-b", ScopeValue: "0031"},
		marker.Sought{Key: "c", Marker: "m-c", ScopeValue: "0031"}, marker.Sought{Key: "d", Marker: "m-d"},
	).Queries())
	var many []marker.Sought
	for i := range 450 {
		many = append(many, marker.Sought{Key: strconv.Itoa(i), ScopeValue: fmt.Sprintf("003SM0000012xY%04d", i)})
	}
	queries := search(many...).Queries()
	require.Len(t, queries, 3)
	for _, q := range queries {
		require.True(t, salesforce.QueryFits(q))
	}
	s := search(marker.Sought{Key: "a", Marker: "m"})
	s.ScopeField = ""
	require.Equal(t, []string{
		"SELECT Id, CreatedDate, IsDeleted, Description FROM Task WHERE CreatedDate >= 2026-08-01T00:00:00Z ORDER BY CreatedDate, Id",
	}, s.Queries())
}

func TestMatch(t *testing.T) {
	t.Parallel()
	rec := func(id, created, description string) salesforce.Record {
		return salesforce.Record{"Id": id, "CreatedDate": created, "Description": description}
	}
	s := search(marker.Sought{Key: "a", Marker: "Throughline: a"}, marker.Sought{Key: "ab", Marker: "Throughline: ab"})
	found := s.Match([]salesforce.Record{
		rec("00T3", "2026-08-01T10:00:00.000+0000", "seen\r\nThroughline: a\r\nend"),
		rec("00T2", "2026-08-01T09:00:00.000+0000", "Throughline: a"),
		rec("00T2", "2026-08-01T09:00:00.000+0000", "Throughline: a"), // in two answers
		rec("00T1", "2026-08-01T08:00:00.000+0000", "quoting Throughline: a is no marker"),
		rec("00T4", "2026-08-01T08:00:00.000+0000", "Throughline: abc"),
		rec("00T5", "2026-08-01T08:00:00.000+0000", ""),
		rec("", "", "Throughline: ab"),
	})
	require.Equal(t, map[string]marker.Found{"a": {RecordID: "00T2", Others: 1}}, found)

	deleted := rec("00T2", "2026-08-01T09:00:00.000+0000", "Throughline: a")
	deleted["IsDeleted"] = true
	require.Equal(t, map[string]marker.Found{"a": {RecordID: "00T2", Deleted: true}}, s.Match([]salesforce.Record{deleted}))
	require.Equal(t, map[string]marker.Found{"a": {RecordID: "00T3", Others: 1}}, s.Match([]salesforce.Record{
		deleted, rec("00T3", "2026-08-01T10:00:00.000+0000", "Throughline: a"),
	}))
}

func TestAnExactSearchComparesTheScopeToo(t *testing.T) {
	t.Parallel()
	s := search(
		marker.Sought{Key: "spring", Marker: "00Q1", ScopeValue: "7011"}, marker.Sought{Key: "autumn", Marker: "00Q1", ScopeValue: "7012"},
	)
	s.Object, s.Field, s.ScopeField, s.Exact = "CampaignMember", "LeadId", "CampaignId", true
	require.Contains(t, s.Queries()[0], "IsDeleted, LeadId, CampaignId FROM CampaignMember")
	require.Equal(t, map[string]marker.Found{"autumn": {RecordID: "00v1"}}, s.Match([]salesforce.Record{
		{"Id": "00v1", "LeadId": "00Q1", "CampaignId": "7012"}, {"Id": "00v2", "LeadId": "00Q1", "CampaignId": "7013"},
	}))
}
