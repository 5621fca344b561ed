package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/secret"
)

// vault is a Store in memory.
type vault struct {
	mu      sync.Mutex
	token   string
	loads   int
	stored  []string
	failing error
	// onLoad runs at each load, e.g. to rotate as another replica would.
	onLoad func(v *vault)
}

func (v *vault) RefreshToken(context.Context) (secret.String, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.loads++
	if v.onLoad != nil {
		v.onLoad(v)
	}
	return secret.New(v.token), nil
}

func (v *vault) Rotated(_ context.Context, used, next secret.String) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failing != nil {
		return v.failing
	}
	v.stored = append(v.stored, used.Reveal()+">"+next.Reveal())
	v.token = next.Reveal()
	return nil
}

func (v *vault) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failing = err
}

// issuer is a token endpoint that rotates: it accepts only the newest refresh token, r1, r2, …
type issuer struct {
	server  *httptest.Server
	mu      sync.Mutex
	live    int
	asked   []string
	rotates bool
	// instance is added to the address of the org.
	instance string
	// gate, when not nil, is waited for before an answer; entered tells of each request.
	gate, entered chan struct{}
}

func newIssuer(t *testing.T, rotates bool) *issuer {
	t.Helper()
	i := &issuer{live: 1, rotates: rotates}
	i.server = httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.server.Close)
	return i
}

func (i *issuer) serve(w http.ResponseWriter, r *http.Request) {
	if i.gate != nil {
		i.entered <- struct{}{}
		<-i.gate
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	sent := r.PostFormValue("refresh_token")
	i.asked = append(i.asked, sent)
	w.Header().Set("Content-Type", "application/json")
	if sent != fmt.Sprint("r", i.live) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_grant","error_description":"expired access/refresh token"}`)
		return
	}
	next := ""
	if i.rotates {
		i.live++
		next = fmt.Sprintf(`"refresh_token":"r%d",`, i.live)
	}
	fmt.Fprintf(w, `{%s"access_token":"a%d","instance_url":"%s%s","token_type":"Bearer"}`, next, len(i.asked), i.server.URL, i.instance)
}

type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newSource(i *issuer, v *vault) (*oauth.Source, *testClock) {
	clock := &testClock{now: time.Date(2026, 8, 10, 9, 0, 0, 0, time.UTC)}
	return oauth.NewSource(oauth.Request{LoginURL: i.server.URL, ClientID: "key"}, v, clock, oauth.DefaultSourceConfig()), clock
}

func TestSource(t *testing.T) {
	t.Parallel()

	t.Run("UsesATokenUntilItIsRefusedAndReadsTheAddressAnew", func(t *testing.T) {
		t.Parallel()
		i, v := newIssuer(t, false), &vault{token: "r1"}
		s, _ := newSource(i, v)
		first, err := s.Token(t.Context())
		require.NoError(t, err)
		again, err := s.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, first, again)
		i.instance = "/moved"
		s.Refused(t.Context(), salesforce.Token{AccessToken: secret.New("an older one")})
		s.Refused(t.Context(), first)
		second, err := s.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, i.server.URL+"/moved", second.InstanceURL)
		s.Refused(t.Context(), first)
		third, err := s.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, second, third, "a late refusal of the old token costs nothing")
		require.Equal(t, []string{"r1", "r1"}, i.asked)
		require.Empty(t, v.stored)
	})

	t.Run("StoresARotationBeforeTheAccessTokenIsUsed", func(t *testing.T) {
		t.Parallel()
		i, v := newIssuer(t, true), &vault{token: "r1"}
		s, clock := newSource(i, v)
		v.fail(errors.New("db.internal:5432 is down"))
		for range 3 {
			_, err := s.Token(t.Context())
			require.Equal(t, salesforce.ClassTransient, salesforce.ClassOf(err))
			require.NotContains(t, err.Error(), "db.internal")
			clock.advance(time.Minute)
		}
		v.fail(nil)
		token, err := s.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, "a1", token.AccessToken.Reveal())
		require.Equal(t, []string{"r1"}, i.asked, "the rotation is not asked for again: r1 is dead")
		require.Equal(t, []string{"r1>r2"}, v.stored)
		s.Refused(t.Context(), token)
		_, err = s.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"r1>r2", "r2>r3"}, v.stored)
	})

	t.Run("ReadsTheStoreOnceMoreAfterInvalidGrant", func(t *testing.T) {
		t.Parallel()
		i := newIssuer(t, true)
		i.live = 5
		v := &vault{token: "r4", onLoad: func(v *vault) {
			if v.loads == 2 {
				v.token = "r5" // another replica stored its rotation
			}
		}}
		s, _ := newSource(i, v)
		_, err := s.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"r4", "r5"}, i.asked)
		require.Equal(t, []string{"r5>r6"}, v.stored)
	})

	t.Run("ADeadGrantIsAskedForOnceAWhile", func(t *testing.T) {
		t.Parallel()
		i, v := newIssuer(t, true), &vault{token: "dead"}
		s, clock := newSource(i, v)
		for range 5 {
			_, err := s.Token(t.Context())
			require.Equal(t, salesforce.ClassAuth, salesforce.ClassOf(err))
		}
		require.Equal(t, []string{"dead"}, i.asked)
		require.Equal(t, 2, v.loads)
		v.token = "r1" // somebody connected again
		clock.advance(10 * time.Second)
		_, err := s.Token(t.Context())
		require.NoError(t, err)
	})

	t.Run("NoRefreshTokenIsAMatterForAnAdministrator", func(t *testing.T) {
		t.Parallel()
		s, _ := newSource(newIssuer(t, true), &vault{})
		_, err := s.Token(t.Context())
		require.Equal(t, salesforce.ClassAuth, salesforce.ClassOf(err))
	})
}

func TestSourceFliesOnce(t *testing.T) {
	t.Parallel()
	i, v := newIssuer(t, true), &vault{token: "r1"}
	i.gate, i.entered = make(chan struct{}), make(chan struct{}, 1)
	s, _ := newSource(i, v)

	// The first caller leaves while its refresh is under way; what it brings is kept all the same.
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := s.Token(ctx)
		left <- err
	}()
	<-i.entered
	leave()
	var own *salesforce.Error
	require.ErrorAs(t, <-left, &own)
	require.Equal(t, salesforce.CodeCancelled, own.Code)

	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			token, err := s.Token(t.Context())
			if assert.NoError(t, err) {
				assert.Equal(t, "a1", token.AccessToken.Reveal())
			}
		})
	}
	close(i.gate)
	wg.Wait()
	require.Equal(t, []string{"r1"}, i.asked)
	require.Equal(t, []string{"r1>r2"}, v.stored)
}

func TestSourceConfig(t *testing.T) {
	t.Parallel()
	require.NoError(t, oauth.DefaultSourceConfig().Validate())
	for _, c := range []oauth.SourceConfig{
		{}, {RefreshTimeout: time.Hour}, {RefreshTimeout: time.Second, HoldFailure: -1}, {RefreshTimeout: time.Second, HoldFailure: 2 * time.Hour},
	} {
		require.Error(t, c.Validate())
		_, err := oauth.NewSource(oauth.Request{}, &vault{}, &testClock{}, c).Token(t.Context())
		require.Equal(t, salesforce.ClassConfig, salesforce.ClassOf(err))
	}
}
