package configbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// tokenWorkspaces is how many connections the tokens are of.
const tokenWorkspaces = 20

// tokens measures handing out tokens that the store holds, which is what happens but once an hour per connection.
func (m *bench) tokens(ctx context.Context) (err error) {
	if m.cfg.TokenCalls == 0 {
		return nil
	}
	org := newTokenEndpoint()
	defer org.Close()
	s, err := m.place.start(m.place.file("tokens.db"), nil) //nolint:contextcheck // the service ends with close
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for n := range tokenWorkspaces {
		if err := s.workspace(ctx, workspaceID(n), org.URL); err != nil {
			return err
		}
	}
	ask := func(ctx context.Context, n int) error {
		_, err := s.trusted.GetAccessToken(ctx, &configv1.GetAccessTokenRequest{
			Workspace: workspaceID(n % tokenWorkspaces), Connection: connectionID,
		})
		return err
	}
	for n := range tokenWorkspaces { // from here on every token is in the store
		if err := ask(ctx, n); err != nil {
			return err
		}
	}
	fmt.Fprintf(m.w, "\nAccess tokens of %d connections, %d callers\n%-34s %10s %14s\n", tokenWorkspaces, m.cfg.Callers, "", "calls/s", "CPU µs/call")
	t := &Tokens{}
	m.result.Tokens = t
	if t.PerSecond, t.CPU, err = m.calls(ctx, "tokens handed out", ask); err != nil {
		return err
	}
	if err := m.bareCalls(ctx, t); err != nil {
		return err
	}
	t.Ratio = t.PerSecond / t.Bare
	fmt.Fprintf(m.w, "%-34s %10.2f\n", "ratio", t.Ratio)
	return nil
}

func (m *bench) bareCalls(ctx context.Context, t *Tokens) (err error) {
	b, err := startBare(m.place.certs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	conn, err := m.place.dial(b.addr(), "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	payload := wrapperspb.Bytes(make([]byte, 160)) // as large as a token and its address
	t.Bare, t.BareCPU, err = m.calls(ctx, "bare gRPC echo", func(ctx context.Context, _ int) error {
		return echo(ctx, conn, payload)
	})
	return err
}

func echo(ctx context.Context, conn *grpc.ClientConn, payload *wrapperspb.BytesValue) error {
	return conn.Invoke(ctx, echoMethod, payload, &wrapperspb.BytesValue{})
}

// calls makes the calls from several callers at once.
func (m *bench) calls(ctx context.Context, what string, call func(ctx context.Context, n int) error) (rate, cpu float64, err error) {
	group, ctx := errgroup.WithContext(ctx)
	used, began := cpuTime(), time.Now()
	for caller := range m.cfg.Callers {
		group.Go(func() error {
			for n := caller; n < m.cfg.TokenCalls; n += m.cfg.Callers {
				if err := call(ctx, n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, 0, err
	}
	n := float64(m.cfg.TokenCalls)
	rate, cpu = n/time.Since(began).Seconds(), float64((cpuTime()-used).Microseconds())/n
	fmt.Fprintf(m.w, "%-34s %10.0f %14.0f\n", what, rate, cpu)
	return rate, cpu, nil
}

// newTokenEndpoint is an org that gives tokens and nothing else.
func newTokenEndpoint() *httptest.Server {
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	mux.HandleFunc("POST /services/oauth2/token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{
			"access_token": "00D000000000001!bench.token.of.the.length.that.sessions.have.0123456789.0123456789.0123456789",
			"instance_url": server.URL, "token_type": "Bearer", "issued_at": "1772355600000",
			"id": "https://test.salesforce.com/id/00D000000000001EAA/005000000000001AAA",
		})
	})
	return server
}
