package directory_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/identity/directory"
)

// heldOrg answers when it is let.
type heldOrg struct {
	*fakeOrg
	answers chan struct{}
}

func (o *heldOrg) Query(ctx context.Context, soql string) ([]salesforce.Record, error) {
	select {
	case <-o.answers:
		return o.fakeOrg.Query(ctx, soql)
	case <-ctx.Done():
		return nil, &salesforce.Error{Class: salesforce.ClassTransient, Code: salesforce.CodeTimeout}
	}
}

// slowly is an org that does not answer, and a healthy one beside it.
type slowly struct {
	slow *heldOrg
	fast *fakeOrg
}

func (o slowly) Org(_, connection string) (directory.Org, error) {
	if connection == "slow" {
		return o.slow, nil
	}
	return o.fast, nil
}

func setupSlow(t *testing.T, change ...func(*directory.Config)) (slowly, func(patient bool, asks ...directory.Ask) []directory.Answer) {
	t.Helper()
	lead := func(id, address string) salesforce.Record {
		return salesforce.Record{"Id": id, "Email": address, "OwnerId": "00G1"}
	}
	orgs := slowly{
		slow: &heldOrg{
			fakeOrg: &fakeOrg{rows: map[string][]salesforce.Record{"Lead": {lead("00Q1", "mia@example.com"), lead("00Q2", "ren@example.com")}}},
			answers: make(chan struct{}),
		},
		fast: &fakeOrg{rows: map[string][]salesforce.Record{"Lead": {lead("00Q9", "mia@example.com")}}},
	}
	cfg := directory.DefaultConfig()
	for _, f := range change {
		f(&cfg)
	}
	require.NoError(t, cfg.Validate())
	dir := directory.New(cfg, orgs, &manualClock{now: noon})
	return orgs, func(patient bool, asks ...directory.Ask) []directory.Answer {
		for i := range asks {
			asks[i].Patient = patient
		}
		return dir.Look(t.Context(), asks)
	}
}

func of(connection, viewer string) directory.Ask {
	a := ask(viewer, "")
	a.Connection = connection
	return a
}

func TestASlowOrgHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orgs, look := setupSlow(t)
		began := time.Now()
		got := look(false, of("slow", "mia@example.com"), of("prod", "mia@example.com"))
		require.Equal(t, directory.DefaultConfig().Patience, time.Since(began))
		require.ErrorIs(t, got[0].Err, directory.ErrSlow)
		require.Equal(t, []string{"00Q9"}, idsOf(got[1]))

		close(orgs.slow.answers)
		synctest.Wait()
		require.NotEmpty(t, orgs.slow.asked(), "the question went on")
		got = look(false, of("slow", "mia@example.com"))
		require.Equal(t, []string{"00Q1"}, idsOf(got[0]))
		require.Empty(t, orgs.slow.asked(), "its answer was remembered")
	})
}

func TestWhoIsKnownDoesNotWaitForASlowOrg(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orgs, look := setupSlow(t)
		close(orgs.slow.answers)
		require.NoError(t, look(true, of("slow", "mia@example.com"))[0].Err)
		orgs.slow.answers = make(chan struct{})
		got := look(false, of("slow", "mia@example.com"), of("slow", "ren@example.com"))
		require.Equal(t, []string{"00Q1"}, idsOf(got[0]))
		require.ErrorIs(t, got[1].Err, directory.ErrSlow)
	})
}

func TestPatientAsksWaitAsLongAsTheOrgMayTake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, look := setupSlow(t)
		began := time.Now()
		got := look(true, of("slow", "mia@example.com"))
		require.Equal(t, directory.DefaultConfig().Timeout, time.Since(began))
		require.Error(t, got[0].Err)
		require.NotErrorIs(t, got[0].Err, directory.ErrSlow)
	})
}

// Who waits for a place at a slow org gives up with the batch: they would become ever more, and take the places of others.
func TestASlowOrgTakesAShareOfThePlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orgs, look := setupSlow(t, func(c *directory.Config) { c.Parallel = 4 })
		require.ErrorIs(t, look(false, of("slow", "mia@example.com"))[0].Err, directory.ErrSlow)
		require.ErrorIs(t, look(false, of("slow", "ren@example.com"))[0].Err, directory.ErrSlow)
		require.NoError(t, look(false, of("prod", "mia@example.com"))[0].Err)
		close(orgs.slow.answers)
		synctest.Wait()
		asked := strings.Join(orgs.slow.asked(), "\n")
		require.Contains(t, asked, "mia@example.com")
		require.NotContains(t, asked, "ren@example.com")
	})
}
