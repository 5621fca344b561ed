package resolve_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/identity/directory"
	"github.com/throughline-dev/throughline/services/identity/resolve"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

func TestRetrier(t *testing.T) {
	t.Parallel()
	down := directory.Answer{Err: &salesforce.Error{Class: salesforce.ClassTransient, Reason: "SF_LOCKED"}}

	// putOff returns the record that an org in trouble left in the unresolved topic.
	putOff := func(b *bundle) stage.Record {
		b.Helper()
		b.dir.set("prod", down)
		m := b.process(b.record()).Messages()[0]
		require.Equal(b, topic.Unresolved, m.Topic)
		return stage.Record{
			Topic: topic.Unresolved, Offset: 3, Time: b.clock.Now(), Key: m.Key, Value: m.Value,
			Headers: append(m.Headers, stage.Header{Key: stage.HeaderTraceParent, Value: []byte("trace")}),
		}
	}
	// accept hands the record to a retrier that is drained in the end.
	accept := func(b *bundle, rec stage.Record) *stagetest.Port {
		b.Helper()
		port := stagetest.NewPort(nil)
		r := resolve.NewRetrier(b.cfg, b.deps(), port)
		require.NoError(b, r.Accept(b.Context(), rec))
		b.Cleanup(func() { require.NoError(b, r.Drain(context.Background())) })
		return port
	}
	settled := func(b *bundle, port *stagetest.Port) {
		b.Helper()
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		defer cancel()
		require.NoError(b, port.Await(ctx, func(p *stagetest.Port) bool { return len(p.Settled()) == 1 }))
		require.Equal(b, []int64{3}, port.Settled())
	}

	t.Run("AsksAgainWhenItIsDueAndOnlyThatOrg", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		port := accept(b, putOff(b))
		require.Empty(t, port.Settled())
		b.dir.set("prod", mia())
		b.dir.mu.Lock()
		b.dir.asked = nil
		b.dir.mu.Unlock()
		b.clock.Advance(b.cfg.RetryMin)
		settled(b, port)
		got := resolvedOf(t, port.Published())
		require.Len(t, got, 1)
		require.Equal(t, "prod", got[0].GetConnection())
		require.Equal(t, "00Q1", got[0].GetResolution().GetPerson().GetRecordId())
		require.Equal(t, []string{"prod mia@example.com"}, b.dir.asked)
	})

	t.Run("IsNotPutOffForLongerByAClockThatWasAhead", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.clock.Advance(24 * time.Hour)
		rec := putOff(b)
		b.clock.Advance(-24 * time.Hour)
		port := accept(b, rec)
		b.clock.Advance(b.cfg.RetryMax)
		settled(b, port)
	})

	t.Run("WaitsLongerEveryTime", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		port := accept(b, putOff(b))
		b.clock.Advance(b.cfg.RetryMin)
		settled(b, port)
		again := port.Published()[0]
		require.Equal(t, topic.Unresolved, again.Topic)
		rec := stage.Record{Headers: again.Headers}
		require.Equal(t, "2", string(rec.Header("tl_attempt")))
		require.Equal(t, "prod", string(rec.Header("tl_connection")))
		require.NotEqual(t, string(rec.Header("tl_since")), string(rec.Header("tl_due")))
	})

	t.Run("GivesUpInTheEndAndSaysSo", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		port := accept(b, putOff(b))
		b.clock.Advance(b.cfg.MaxAge)
		settled(b, port)
		told := outcomesOf(t, port.Published())
		require.Len(t, told, 1)
		require.Equal(t, streamv1.Status_STATUS_FAILED, told[0].GetStatus())
		require.Equal(t, streamv1.Reason_REASON_SF_LOCKED, told[0].GetReason())
		require.Equal(t, "prod", told[0].GetConnection())
		require.Len(t, port.DeadLetters(), 1)
		require.Equal(t, "SF_LOCKED", port.DeadLetters()[0].Reason)
		require.EqualValues(t, 1, b.stats.GivenUp.Load())
	})

	t.Run("ARecordIsNotSettledBeforeItsEffectIsAcknowledged", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		rec := putOff(b)
		port := stagetest.NewPort(nil)
		port.Fail(errors.New("the broker is away"))
		r := resolve.NewRetrier(b.cfg, b.deps(), port)
		require.NoError(t, r.Accept(t.Context(), rec))
		t.Cleanup(func() { require.NoError(t, r.Drain(context.Background())) })
		b.dir.set("prod", mia())
		b.clock.Advance(b.cfg.RetryMin)
		require.Eventually(t, func() bool { return b.stats.Resolved.Load() > 1 }, time.Minute, time.Millisecond)
		require.Empty(t, port.Settled())
		port.Fail(nil)
		require.Eventually(t, func() bool { // it is put off by the clock's time at the failure, which may be after any one advance
			b.clock.Advance(b.cfg.RetryMin)
			return len(port.Settled()) > 0
		}, time.Minute, time.Millisecond)
		settled(b, port)
		require.Len(t, resolvedOf(t, port.Published()), 1)
	})

	t.Run("WhatWaitsComesBackAfterAStop", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		port := stagetest.NewPort(nil)
		r := resolve.NewRetrier(b.cfg, b.deps(), port)
		require.NoError(t, r.Accept(t.Context(), putOff(b)))
		require.NoError(t, r.Drain(t.Context()))
		require.NoError(t, r.Drain(t.Context()), "twice is safe")
		require.Empty(t, port.Settled())
		require.Empty(t, port.Published())
	})

	t.Run("GarbageIsGivenUp", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		r := resolve.NewRetrier(b.cfg, b.deps(), stagetest.NewPort(nil))
		t.Cleanup(func() { require.NoError(t, r.Drain(context.Background())) })
		reason, ok := stage.PermanentReason(r.Accept(t.Context(), stage.Record{Value: []byte("\xff")}))
		require.True(t, ok)
		require.Equal(t, "BAD_SCHEMA", reason)
	})
}
