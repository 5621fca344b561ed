package oracle_test

import (
	"bytes"
	"testing"

	"github.com/throughline-dev/throughline/services/generator"
	"github.com/throughline-dev/throughline/services/generator/world"
	"github.com/throughline-dev/throughline/services/oracle"
)

// FuzzObserve feeds the three decoders anything: every record is rejected, skipped or part of a visit, and none panics.
func FuzzObserve(f *testing.F) {
	cfg := generator.DefaultConfig()
	cfg.Now, cfg.Events, cfg.Viewers, cfg.Contents, cfg.OversizeBytes = noon, 300, 20, 6, 2<<10
	cfg.Shares.Malformed = 0.2
	g, err := generator.New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	for e := range g.Events() {
		f.Add(bytes.Clone(e.Value), uint8(0))
		f.Add(bytes.Clone(e.Value), uint8(1))
		f.Add(bytes.Clone(e.Value), uint8(2))
	}
	tiny := &world.World{Now: noon, Workspaces: []*world.Workspace{
		{ID: "acme", Contents: g.World().Workspaces[0].Contents, Org: world.Org{TimeZone: "Asia/Tokyo", Package: true}},
	}}
	contentTypes := []string{"application/cloudevents+json", "application/json", "application/protobuf"}
	f.Fuzz(func(t *testing.T, value []byte, form uint8) {
		o, err := oracle.New(tiny, oracle.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		headers := []oracle.Header{{Key: "content-type", Value: []byte(contentTypes[int(form)%3])}}
		for key, v := range map[string]string{
			"ce_specversion": "1.0", "ce_id": "1", "ce_type": "throughline.video.started.v1",
			"ce_time": "2026-03-04T11:00:00Z", "ce_workspace": "acme", "ce_session": "s",
		} {
			headers = append(headers, oracle.Header{Key: key, Value: []byte(v)})
		}
		o.Observe(oracle.Raw{Value: value, Headers: headers})
		x := o.Expect()
		total := x.Tally.AnonymousVisits + x.Tally.Visits
		for _, n := range x.Tally.Rejected {
			total += n
		}
		for _, n := range x.Tally.Skipped {
			total += n
		}
		if total != 1 {
			t.Fatalf("one record, %d ends: %+v", total, x.Tally)
		}
	})
}

// FuzzReadRecords reads anything; what it accepts can be compared.
func FuzzReadRecords(f *testing.F) {
	f.Add([]byte(`{"org":"acme","object":"Task","fields":{"WhoId":null,"Description":"a: b\nRef: x"}}`))
	f.Add([]byte(`{"org":"acme","object":"Engagement__c","fields":{"View_Count__c":1,"Last_Viewed_At__c":"2026-03-04T11:00:00.000+0000"}}`))
	f.Add([]byte("\n[]"))
	w, err := world.New(world.Config{Now: noon, Workspaces: world.DefaultWorkspaces(), Viewers: 2, Contents: 2})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, lines []byte) {
		records, err := oracle.ReadRecords(bytes.NewReader(lines))
		if err != nil {
			return
		}
		o, err := oracle.New(w, oracle.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		if report := oracle.Compare(o.Expect(), records); report.Lost != 0 || report.Duplicates != report.Written {
			t.Fatalf("nothing was expected: %s", report)
		}
	})
}
