package reports_test

import (
	"context"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

// A run that makes the program panic ends with the reason; the worker goes on with others.
func TestAPanicEndsItsRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.Runs.Workers = 1
	b.contacts(contact("key-1"))
	defect := true
	b.deps.Behind = func(context.Context, string, string) (int64, error) {
		if defect {
			defect = false
			panic("a defect that quotes key-1")
		}
		return 0, nil
	}
	b.deliver([]string{"key", "score", "active"}, []any{"key-1", 7, true})
	b.start()
	b.eventually(b.runs.done, "the run ended")
	require.Contains(t, b.runs.failure.GetDetail(), "a defect at")
	require.NotContains(t, b.runs.failure.GetDetail(), "quotes")
	b.runs.again()
	b.eventually(b.runs.done, "the next run ended")
	require.Nil(t, b.runs.failure)
	require.Len(t, b.writes(), 1)
}

// So does one whose panic is in a query, of which several are under way side by side.
func TestAPanicInAQueryEndsItsRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.Orgs = oddOrgs{b}
	b.deliver([]string{"key", "score", "active"}, []any{"key-1", 7, true})
	b.start()
	b.eventually(b.runs.done, "the run ended")
	require.Contains(t, b.runs.failure.GetDetail(), "a defect at")
	require.NotContains(t, b.runs.failure.GetDetail(), "quotes")
}

// oddOrgs panics when it is called by one of several queries.
type oddOrgs struct{ b *testBundle }

func (o oddOrgs) Client(workspace, connection string) (*salesforce.Client, error) {
	if strings.Contains(string(debug.Stack()), "errgroup") {
		panic("a defect that quotes key-1")
	}
	return o.b.Client(workspace, connection)
}
