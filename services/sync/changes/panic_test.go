package changes_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/seal"
)

// oddOrgs panics in one call about one workspace, while it is told to.
type oddOrgs struct {
	*bundle
	odd, call string
	on        atomic.Bool
}

func (o *oddOrgs) panics(workspace, call string) {
	if workspace == o.odd && call == o.call && o.on.Load() {
		panic("a defect that quotes mia@viewer.example")
	}
}

func (o *oddOrgs) Tokens(workspace, connection string) (salesforce.TokenSource, error) {
	o.panics(workspace, "Tokens")
	source, err := o.bundle.Tokens(workspace, connection)
	return oddTokens{source, o, workspace}, err
}

func (o *oddOrgs) Client(workspace, connection string) (*salesforce.Client, error) {
	o.panics(workspace, "Client")
	return o.bundle.Client(workspace, connection)
}

type oddTokens struct {
	salesforce.TokenSource
	orgs      *oddOrgs
	workspace string
}

func (o oddTokens) Token(ctx context.Context) (salesforce.Token, error) {
	o.orgs.panics(o.workspace, "Token")
	return o.TokenSource.Token(ctx)
}

// Promise 6: wherever the program panics while it works for one org, the others' changes are told, and that org's are once it works.
func TestAPanicIsTheTroubleOfOneOrg(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	for _, call := range []string{"Tokens", "Client", "Token"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			b := setup(t, org("odd"), org("well"))
			orgs := &oddOrgs{bundle: b, odd: "odd", call: call}
			orgs.on.Store(true)
			s, _ := b.serveWith(orgs)
			b.await(func() bool { return s.Stats().Panicked > 3 && s.Stats().Subscribed == 4 }, "the other org is subscribed to, and it is tried again")
			id := b.edit("well", "editor", "POST", "sobjects/Lead", lead("mia@viewer.example"))
			b.awaitTold("well", created, id)
			require.NoError(t, s.Ready())
			orgs.on.Store(false)
			b.await(func() bool { return s.Stats().Subscribed == 8 }, "the org is subscribed to")
			id = b.edit("odd", "editor", "POST", "sobjects/Lead", lead("ren@viewer.example"))
			b.awaitTold("odd", created, id)
		})
	}
}

// Whoever cannot be asked about any more by a defect stays subscribed to.
func TestSubscriptionsOutliveADefectInTheirSettings(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	b := setup(t, org("odd"))
	orgs := &oddOrgs{bundle: b, odd: "odd", call: "Tokens"}
	s, _ := b.serveWith(orgs)
	b.await(func() bool { return s.Stats().Subscribed == 4 }, "all four objects are subscribed to")
	orgs.on.Store(true)
	b.await(func() bool { return s.Stats().Panicked > 1 }, "the settings were looked at in vain")
	id := b.edit("odd", "editor", "POST", "sobjects/Lead", lead("mia@viewer.example"))
	b.awaitTold("odd", created, id)
}

// An event that the program cannot take may mean anything, and is told so; those behind it are read as ever.
func TestAPanicOverAnEventLosesNothing(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	b := setup(t, org("odd"), org("well"))
	odd, _ := b.source.View().Workspace("odd")
	*odd.Keys() = seal.Keys{} // no address can become a key
	s, _ := b.serveWith(b)
	b.await(func() bool { return s.Stats().Subscribed == 8 }, "both orgs are subscribed to")
	// What a new subscription begins with is told first.
	b.await(func() bool { return b.anything("odd") == 4 }, "anything may have changed before")
	b.edit("odd", "editor", "POST", "sobjects/Lead", lead("mia@viewer.example"))
	behind := b.edit("odd", "editor", "POST", "sobjects/Lead", map[string]any{"LastName": "Name", "Company": "Company"})
	b.awaitTold("odd", created, behind)
	b.await(func() bool { return b.anything("odd") > 4 }, "anything may have changed")
	require.Positive(t, s.Stats().Panicked)
	id := b.edit("well", "editor", "POST", "sobjects/Lead", lead("mia@viewer.example"))
	require.NotEmpty(t, b.awaitTold("well", created, id).GetPersonKeys())
}

// anything counts how often it was told that anything of a workspace may have changed.
func (b *bundle) anything(workspace string) (n int) {
	b.Helper()
	for _, c := range b.told(workspace) {
		if c.GetChangeType() == everything {
			n++
		}
	}
	return n
}
