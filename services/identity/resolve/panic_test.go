package resolve_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	"github.com/throughline-dev/throughline/services/identity/directory"
	"github.com/throughline-dev/throughline/services/identity/resolve"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// oddDirectory panics when anything is asked of one connection.
type oddDirectory struct {
	*fakeDirectory
	odd string
}

func (d oddDirectory) Look(ctx context.Context, asks []directory.Ask) []directory.Answer {
	for _, a := range asks {
		if a.Connection == d.odd {
			panic("a defect that quotes mia@example.com")
		}
	}
	return d.fakeDirectory.Look(ctx, asks)
}

// Promise 6: of what is asked about together only the record that the program cannot take is given up.
func TestAPanicIsTheTroubleOfTheRecordThatIsAskedAbout(t *testing.T) {
	t.Parallel()
	b := setup(t)
	down := directory.Answer{Err: &salesforce.Error{Class: salesforce.ClassTransient, Reason: "SF_LOCKED"}}
	b.dir.set("prod", down)
	b.dir.set("sandbox", down)
	put := b.process(b.record()).Messages()
	require.Len(t, put, 2)
	b.dir.set("prod", mia())

	deps := b.deps()
	deps.Directory = oddDirectory{b.dir, "sandbox"}
	port := stagetest.NewPort(nil)
	r := resolve.NewRetrier(b.cfg, deps, port)
	t.Cleanup(func() { require.NoError(t, r.Drain(context.Background())) })
	for offset := range 5 { // one for the sandbox, before and behind those for prod
		m := put[0]
		if (connectionOf(m) == "sandbox") != (offset == 2) {
			m = put[1]
		}
		require.NoError(t, r.Accept(t.Context(), stage.Record{
			Topic: topic.Unresolved, Offset: int64(offset), Time: b.clock.Now(), Key: m.Key, Value: m.Value,
			Headers: append(m.Headers, stage.Header{Key: stage.HeaderTraceParent, Value: []byte("trace")}),
		}))
	}
	b.clock.Advance(b.cfg.RetryMax)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, port.Await(ctx, func(p *stagetest.Port) bool { return len(p.Settled()) == 5 }))
	require.ElementsMatch(t, []int64{0, 1, 2, 3, 4}, port.Settled())
	require.Len(t, resolvedOf(t, port.Published()), 4)
	require.Len(t, port.DeadLetters(), 1)
	dead := port.DeadLetters()[0]
	require.EqualValues(t, 2, dead.Record.Offset)
	require.Equal(t, stage.ReasonPanic, dead.Reason)
	require.Contains(t, dead.Detail, "panic_test.go")
	require.NotContains(t, dead.Detail, "mia@", "promise 8")
}

func connectionOf(m stage.Message) string {
	rec := stage.Record{Headers: m.Headers}
	return string(rec.Header("tl_connection"))
}
