package e2e_test

import (
	"testing"

	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
)

// Processes that share the partitions come and go in the middle of a stream.
func TestScalingOutAndInLosesAndDoublesNothing(t *testing.T) {
	rig.Parallel(t)
	r := rig.New(t, rig.Options{Partitions: 4, Configure: quickRebalance})
	r.StartConfig()
	traffic := r.Traffic(11, pick(2000, 20_000))
	r.Start("first")
	traffic.Send(0.4)
	second := r.Start("second", "visits", "identity", "mapping", "writer")
	traffic.Send(0.3)
	second.Stop()
	traffic.Finish()
}

func quickRebalance(*app.Config) {}
