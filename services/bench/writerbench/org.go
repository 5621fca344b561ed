package writerbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/bench/apart"
	"github.com/throughline-dev/throughline/services/simulator"
)

// scenario has n orgs with the package, which answer after latency.
func scenario(n int, latency time.Duration) *simulator.Scenario {
	sc := new(simulator.Scenario)
	for i := range n {
		sc.Orgs = append(sc.Orgs, simulator.Org{
			Key: orgName(i), Package: true, API: simulator.API{DailyLimit: 1 << 40},
			Latency: simulator.Latency{Median: latency, P99: latency},
			Apps:    []simulator.App{{ClientID: "app", ClientSecret: "secret", RunAs: "bench@acme.example"}},
			Users:   []simulator.User{{Username: "bench@acme.example", LastName: "Bench"}},
		})
	}
	return sc
}

func orgName(i int) string { return fmt.Sprintf("org%03d", i) }

// simulate serves the scenario and returns its base address.
func (e *environment) simulate(ctx context.Context, sc *simulator.Scenario) (string, error) {
	if e.cfg.Program != "" {
		return e.simulateApart(ctx, sc)
	}
	sim, err := simulator.New(simulator.DefaultConfig(), simulator.Deps{})
	if err != nil {
		return "", err
	}
	if err := sim.Seed(ctx, sc); err != nil {
		return "", errors.Join(err, sim.Close())
	}
	server := httptest.NewServer(sim.Handler())
	e.closers = append(e.closers, func() error { server.Close(); return sim.Close() })
	return server.URL, nil
}

// simulateApart runs it in a process of its own.
func (e *environment) simulateApart(ctx context.Context, sc *simulator.Scenario) (string, error) {
	url, stop, err := apart.Simulator(ctx, e.cfg.Program, sc)
	if err != nil {
		return "", err
	}
	e.closers = append(e.closers, stop)
	return url, nil
}

// sign signs in to the org and returns a client with nothing in flight yet.
func sign(ctx context.Context, base, key string) (*salesforce.Client, error) {
	t, err := oauth.ClientCredentials(ctx, oauth.Request{
		LoginURL: base + "/orgs/" + key, ClientID: "app", ClientSecret: secret.New("secret"),
	})
	if err != nil {
		return nil, fmt.Errorf("sign in to %s: %w", key, err)
	}
	return client(t.AccessToken, t.InstanceURL), nil
}

func client(token secret.String, url string) *salesforce.Client {
	return salesforce.NewClient(salesforce.DefaultConfig(), salesforce.StaticToken{AccessToken: token, InstanceURL: url}, salesforce.Deps{})
}

// dead returns clients of n orgs that cannot be written to: a third refuse connections, a third take requests and never
// answer, a third are out of service.
func (e *environment) dead(ctx context.Context, n int) ([]*salesforce.Client, error) {
	refusing, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	refused := "http://" + refusing.Addr().String()
	if err := refusing.Close(); err != nil {
		return nil, err
	}
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server notices that its caller has left only once it has read the body
		<-r.Context().Done()
	}))
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
	}))
	e.closers = append(e.closers, func() error {
		silent.CloseClientConnections()
		silent.Close()
		down.Close()
		return nil
	})
	urls := []string{refused, silent.URL, down.URL}
	clients := make([]*salesforce.Client, n)
	for i := range clients {
		clients[i] = client(secret.New("token"), urls[i%len(urls)])
	}
	return clients, nil
}
