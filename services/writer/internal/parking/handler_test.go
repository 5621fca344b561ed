package parking_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/writer/internal/parking"
)

// A write that was parked while the clock was a day ahead neither waits for a day nor makes the orgs behind it wait.
func TestAClockThatWasAheadHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := parking.DefaultConfig()
		cfg.HeldPerOrg = 1
		port := stagetest.NewPort(nil)
		open := map[string]bool{"other": true}
		h := parking.NewHandler(cfg, parking.Deps{
			Ready:  func(_, connection string, _ streamv1.Priority) bool { return open[connection] },
			Room:   func(parking.Action) int { return 1 },
			Clock:  stage.SystemClock{},
			Logger: slog.New(slog.DiscardHandler),
			Held:   func(int) {},
		}, port)
		park := func(offset int64, connection string, at time.Time) stage.Record {
			rec := stage.Record{Key: []byte("acme/" + connection)}
			m, _ := parking.Park(&rec, parking.Why{}, cfg.Delay(), at)
			return stage.Record{Topic: topic.Parked, Offset: offset, Key: m.Key, Value: m.Value, Headers: m.Headers}
		}
		accepted := make(chan error, 1)
		go func() {
			var err error
			for _, rec := range []stage.Record{
				park(0, "dead", time.Now()), park(1, "dead", time.Now().Add(24*time.Hour)), park(2, "other", time.Now()),
			} {
				if err = h.Accept(t.Context(), rec); err != nil {
					break
				}
			}
			accepted <- err
		}()
		<-time.After(2 * time.Minute) // of the bubble
		synctest.Wait()
		require.Contains(t, port.Settled(), int64(2), "the other org's write has come back")
		require.Contains(t, port.Settled(), int64(1), "and the one that was in its way waits at the end of the topic")
		require.NoError(t, <-accepted)
		require.NoError(t, h.Drain(context.Background()))
	})
}

// Many writes of one org that were parked for too long end side by side: the other orgs' wait behind them.
func TestWhatIsParkedForTooLongEndsSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := parking.DefaultConfig()
		port := stagetest.NewPort(nil)
		const roundTrip = time.Second
		h := parking.NewHandler(cfg, parking.Deps{
			Ready:  func(_, connection string, _ streamv1.Priority) bool { return connection == "other" },
			Room:   func(parking.Action) int { return 1 },
			Clock:  stage.SystemClock{},
			Logger: slog.New(slog.DiscardHandler),
			Held:   func(int) {},
			Expire: func(context.Context, stage.Port, *stage.Record, parking.Ticket) error {
				<-time.After(roundTrip)
				return nil
			},
		}, port)
		for i := range 161 {
			rec, at := stage.Record{Key: []byte("acme/dead")}, time.Now().Add(-cfg.KeepFor-time.Hour)
			if i == 160 {
				rec.Key, at = []byte("acme/other"), time.Now()
			}
			m, _ := parking.Park(&rec, parking.Why{}, cfg.Delay(), at)
			require.NoError(t, h.Accept(t.Context(), stage.Record{
				Topic: topic.Parked, Offset: int64(i), Key: m.Key, Value: m.Value, Headers: m.Headers,
			}))
		}
		<-time.After(cfg.Recheck + 10*roundTrip + 2*cfg.Recheck + roundTrip/2)
		synctest.Wait()
		require.Len(t, port.Settled(), 161)
		require.NoError(t, h.Drain(context.Background()))
	})
}
