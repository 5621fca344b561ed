package config_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// TestReplicasShareOneRotatingGrant runs two whole services on one database, which many writers ask for tokens of an org that
// rotates refresh tokens: each is good once, and a second use would lose the org.
func TestReplicasShareOneRotatingGrant(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(*testing.T, *testBundle){
		"SQLite":   func(*testing.T, *testBundle) {},
		"Postgres": func(t *testing.T, b *testBundle) { b.cfg.Database.PostgresDSN = schemaDSN(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Attr("requirement", "XC-16")
			t.Parallel()
			one := connectable(t, func(b *testBundle) { database(t, b) })
			two := prepare(t)
			two.cfg.Database, two.deps, two.clock = one.cfg.Database, one.deps, one.clock
			two.cfg.Connect = one.cfg.Connect
			two.start(t)
			sim := newSimulator(t, one)
			// Begun on one replica and finished on the other, as behind a load balancer.
			started := one.startConnect(t, options(sim.login("acme")))
			require.Equal(t, http.StatusOK, two.browser(t).connect(started.GetLink()).code)
			require.Equal(t, configv1.FlowStatus_FLOW_STATUS_DONE, one.flow(t, started.GetFlow().GetId()).GetStatus())

			before := sim.refreshes.Load()
			const rounds, askers = 4, 24
			for range rounds {
				one.clock.Advance(90 * time.Minute) // the token's life is over
				tokens := make([]string, askers)
				var wg sync.WaitGroup
				for n := range askers {
					wg.Go(func() {
						b := []*testBundle{one, two}[n%2]
						resp, err := b.service.GetAccessToken(t.Context(), &configv1.GetAccessTokenRequest{Workspace: "acme", Connection: "main"})
						if err != nil {
							t.Error(err)
						}
						tokens[n] = resp.GetAccessToken()
					})
				}
				wg.Wait()
				require.Len(t, slices.Compact(tokens), 1, "everybody has the same one")
			}
			require.Equal(t, before+rounds, sim.refreshes.Load(), "one refresh each time")

			// A replica that goes away takes nothing with it, and one that comes finds everything.
			one.clock.Advance(90 * time.Minute)
			two.stop()
			require.NoError(t, one.token(t))
			_, err := one.client(t, viewerToken).GetAccessToken(t.Context(), &configv1.GetAccessTokenRequest{Workspace: "acme", Connection: "main"})
			require.Equal(t, codes.PermissionDenied, status.Code(err), "tokens are for services")
			require.Equal(t, ready, one.status(t).GetState())
		})
	}
}
