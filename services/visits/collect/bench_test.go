package collect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/visits/collect"
)

// BenchmarkProcess handles batches of 2,000 activities, 20 of each of 100 visits, interleaved as sessions are, each
// visit going on for three batches.
func BenchmarkProcess(b *testing.B) {
	const batchSize, perVisit, batchesPerVisit = 2000, 20, 3
	batches := benchBatches(b, batchSize, perVisit, batchesPerVisit)
	p, err := collect.New(collect.DefaultConfig(), collect.Deps{Rules: fixedRules(defaultRules()), Stats: &collect.Stats{}, Now: noon}, stage.NewTable())
	require.NoError(b, err)
	var out stage.Outbox
	b.ReportAllocs()
	activities := 0
	for b.Loop() {
		n := activities / batchSize
		if n%batchesPerVisit == 0 {
			b.StopTimer()
			p, err = collect.New(collect.DefaultConfig(), collect.Deps{Rules: fixedRules(defaultRules()), Stats: &collect.Stats{}, Now: noon}, stage.NewTable())
			require.NoError(b, err)
			b.StartTimer()
		}
		if err := p.Process(b.Context(), batches[n%batchesPerVisit], &out); err != nil {
			b.Fatal(err)
		}
		out.Reset()
		activities += batchSize
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(activities), "ns/activity")
}

func benchBatches(b *testing.B, size, perVisit, count int) [][]stage.Record {
	b.Helper()
	sealed := make([]byte, 80)
	visits := size / perVisit
	batches := make([][]stage.Record, count)
	offset := int64(0)
	for n := range batches {
		for i := range size {
			v, step := i%visits, n*perVisit+i/visits
			a := &streamv1.Activity{
				EventId:    fmt.Sprintf("0190b6c1-7e5f-7d6a-9a43-%012d", offset),
				Workspace:  "acme",
				Session:    fmt.Sprintf("0190b6c1-7e5f-7d6a-9a44-%012d", v),
				OccurredAt: timestamppb.New(noon.Add(time.Duration(step) * 10 * time.Second)),
				ReceivedAt: timestamppb.New(noon.Add(time.Duration(step) * 10 * time.Second)),
				Content: &streamv1.Content{
					ContentId: "content-000123", Kind: streamv1.ContentKind_CONTENT_KIND_VIDEO,
					Title: "How we onboard a customer in a week", Url: "https://video.example/v/content-000123", LengthSeconds: 612,
					OwnerKey: "abcdefghijklmnopqrstuv", OwnerSealed: sealed, PublishedAt: timestamppb.New(noon),
				},
				Subject:          &streamv1.Subject{PersonKey: fmt.Sprintf("vutsrqponmlkjihg%06d", v), Sealed: sealed, Evidence: streamv1.Evidence_EVIDENCE_ASKED},
				SettingsRevision: 12,
			}
			watched(float64(step*10), float64(step*10+10))(a)
			value, err := proto.Marshal(a)
			require.NoError(b, err)
			batches[n] = append(batches[n], stage.Record{
				Offset: offset, Time: noon, Value: value, Key: topic.SessionKey(a.GetWorkspace(), a.GetSession()),
				Headers: []stage.Header{{Key: stage.HeaderTraceParent, Value: []byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")}},
			})
			offset++
		}
	}
	return batches
}
