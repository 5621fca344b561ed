package writer_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

// TestAnOlderRevisionDoesNotGoOverAParkedOneThatMayHaveTakenEffect: the org did what the newer revision asked for, but its answer
// was lost and the write parked. The older one comes late, while the newer one waits to be sent again.
func TestAnOlderRevisionDoesNotGoOverAParkedOneThatMayHaveTakenEffect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.Gate.Failures = 1
	b.cfg.Parking.DelayMin, b.cfg.Parking.DelayMax = time.Hour, time.Hour
	var sent atomic.Int64
	b.orgs["main"].Fault = func(orgtest.Request) *orgtest.Fault {
		if sent.Add(1) == 1 {
			return &orgtest.Fault{AfterCommit: true}
		}
		return nil
	}
	b.orgs["main"].SetLimitsStatus(http.StatusServiceUnavailable) // it opens to nobody before the write is parked
	s, stop := b.start()
	defer stop()
	b.send(b.write("main", "a", 2))
	b.eventually(func() bool { return b.final()["a/2"] == "PARKED SF_UNAVAILABLE" }, "the newer one is parked")
	b.orgs["main"].SetLimitsStatus(0)
	b.eventually(func() bool { return s.Stats().Orgs[0].Open }, "the org can be written to again")
	b.send(b.write("main", "a", 1))
	b.eventually(func() bool { return b.final()["a/1"] != "" }, "something is told about the older one")
	require.Equal(t, []float64{2}, b.orgs["main"].Records("Engagement__c")[0].History)
}
