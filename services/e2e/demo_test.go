package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/demo"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
)

// long says that there is time for the long variants.
var long = os.Getenv("THROUGHLINE_TEST_LONG") == "1"

// pick returns the short or the long size of something.
func pick(short, atLength int) int {
	if long {
		return atLength
	}
	return short
}

func TestDemo(t *testing.T) {
	rig.Parallel(t)
	seeds := []uint64{1}
	if long {
		seeds = append(seeds, 2, 3)
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("NothingIsLostOrDoubledWithSeed%d", seed), func(t *testing.T) {
			rig.Parallel(t)
			ctx, cancel := context.WithTimeout(t.Context(), 2*rig.Within)
			defer cancel()
			var out bytes.Buffer
			s, err := demo.Run(ctx, demo.Options{
				Dir: t.TempDir(), Events: pick(3000, 20_000), Seed: seed, Out: &out, Brokers: rig.Brokers(t),
			})
			require.NoError(t, err, out.String())
			require.True(t, s.OK(), out.String())
			require.EqualValues(t, pick(3000, 20_000), s.EventsIn)
			require.Positive(t, s.Written)
		})
	}
}

func TestADemoThatWasStoppedGoesOn(t *testing.T) {
	rig.Parallel(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &watcher{when: regexp.MustCompile(`written [1-9]`), then: cancel}
	opts := demo.Options{Dir: t.TempDir(), Events: 2000, Seed: 5, Rate: 500, Out: out, Live: true, Brokers: rig.Brokers(t)}
	_, err := demo.Run(ctx, opts)
	require.Error(t, err, "it was stopped on the way")
	opts.Rate = 0
	again, cancel := context.WithTimeout(t.Context(), 2*rig.Within)
	defer cancel()
	s, err := demo.Run(again, opts)
	require.NoError(t, err, out.String())
	require.True(t, s.OK(), out.String())
}

// watcher keeps what is written, and does something once a text has appeared.
type watcher struct {
	when *regexp.Regexp
	then func()

	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.when.Match(p) {
		w.then()
	}
	return w.text.Write(p)
}

// String is all that was written.
func (w *watcher) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}
