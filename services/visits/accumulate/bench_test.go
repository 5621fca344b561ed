package accumulate_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/visits/accumulate"
	"github.com/throughline-dev/throughline/services/visits/totals"
)

// BenchmarkProcess handles batches of 2,000 visit revisions: an open and a closed one of each of 1,000 people.
func BenchmarkProcess(b *testing.B) {
	var batch []stage.Record
	for _, state := range []func(*streamv1.Visit){func(*streamv1.Visit) {}, closed} {
		for i := range 1000 {
			v := sitting(fmt.Sprint("visit-0190b6c1-7e5f-7d6a-", i), int64(len(batch)*2), watched(0, 60), state)
			v.Subject.PersonKey, v.Subject.Sealed, v.Content.OwnerSealed = fmt.Sprint("person-", i), make([]byte, 80), make([]byte, 80)
			value, err := proto.Marshal(v)
			require.NoError(b, err)
			batch = append(batch, stage.Record{Offset: int64(len(batch)), Time: noon, Value: value})
		}
	}
	var out stage.Outbox
	b.ReportAllocs()
	for b.Loop() {
		p := accumulate.New(totals.DefaultLimits(), &accumulate.Stats{}, stage.NewTable())
		if err := p.Process(b.Context(), batch, &out); err != nil {
			b.Fatal(err)
		}
		out.Reset()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/visit-revision")
}
