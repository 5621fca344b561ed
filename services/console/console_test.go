package console

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/trace"
)

// fakeSettings answers the calls the console makes; all others panic through the nil interface.
type fakeSettings struct {
	configv1.ConfigServiceClient
}

func (fakeSettings) ListWorkspaces(context.Context, *configv1.ListWorkspacesRequest, ...grpc.CallOption) (*configv1.ListWorkspacesResponse, error) {
	return &configv1.ListWorkspacesResponse{Workspaces: []*configv1.Workspace{{Id: "acme", Name: "Acme <b>"}}}, nil
}

func (fakeSettings) GetWorkspace(_ context.Context, r *configv1.GetWorkspaceRequest, _ ...grpc.CallOption) (*configv1.GetWorkspaceResponse, error) {
	if r.GetWorkspace() != "acme" {
		return nil, status.Error(codes.NotFound, "no such workspace")
	}
	return &configv1.GetWorkspaceResponse{Workspace: &configv1.Workspace{Id: "acme", Name: "Acme <b>"}}, nil
}

func (fakeSettings) ListConnections(context.Context, *configv1.ListConnectionsRequest, ...grpc.CallOption) (*configv1.ListConnectionsResponse, error) {
	return &configv1.ListConnectionsResponse{Connections: []*configv1.Connection{{Id: "production", Org: &configv1.Org{Name: "Acme Org"}}, {Id: "unchecked"}}}, nil
}

func (fakeSettings) ListIntegrations(context.Context, *configv1.ListIntegrationsRequest, ...grpc.CallOption) (*configv1.ListIntegrationsResponse, error) {
	return &configv1.ListIntegrationsResponse{Integrations: []*configv1.Integration{{Id: "videos", Connection: "production", Version: 3, Enabled: true}}}, nil
}

func (fakeSettings) CountOutcomes(context.Context, *configv1.CountOutcomesRequest, ...grpc.CallOption) (*configv1.CountOutcomesResponse, error) {
	return &configv1.CountOutcomesResponse{Counts: []*configv1.OutcomeCount{
		{Stage: "writer", Status: streamv1.Status_STATUS_WRITTEN, Count: 41},
		{Stage: "writer", Status: streamv1.Status_STATUS_FAILED, Reason: streamv1.Reason_REASON_SF_VALIDATION, Count: 2},
	}}, nil
}

func (fakeSettings) ListOutcomes(context.Context, *configv1.ListOutcomesRequest, ...grpc.CallOption) (*configv1.ListOutcomesResponse, error) {
	return &configv1.ListOutcomesResponse{Outcomes: []*streamv1.Outcome{{
		EventId: "e-1", Status: streamv1.Status_STATUS_FAILED, Reason: streamv1.Reason_REASON_SF_VALIDATION, Detail: "a rule refused",
		DecidedAt: timestamppb.New(time.Unix(0, 0)),
	}}}, nil
}

type fakeTracer struct{}

func (fakeTracer) Find(_ context.Context, q trace.Query) (*trace.Journey, error) {
	j := &trace.Journey{Workspace: q.Workspace, EventID: q.EventID}
	if q.EventID == "e-1" {
		j.Outcomes = []*streamv1.Outcome{{Stage: "writer", Status: streamv1.Status_STATUS_WRITTEN, Object: "Task", RecordId: "00T000000000001AAA"}}
	}
	return j, nil
}

const testToken = "the-token-of-the-console"

func TestATokenThatCanBeGuessedIsRefused(t *testing.T) {
	t.Parallel()
	deps := Deps{Settings: fakeSettings{}, Tracer: fakeTracer{}}
	for _, token := range []string{"", "hunter2", "15 characters !"} {
		_, err := New(Config{Listen: "127.0.0.1:0", LookupTimeout: time.Second, Token: secret.New(token)}, deps)
		require.ErrorContains(t, err, "console.token", token)
		if token != "" {
			require.NotContains(t, err.Error(), token)
		}
	}
}

func setup(t *testing.T) http.Handler {
	t.Helper()
	s, err := New(Config{Listen: "127.0.0.1:0", LookupTimeout: time.Minute, Token: secret.New(testToken)}, Deps{Settings: fakeSettings{}, Tracer: fakeTracer{}})
	require.NoError(t, err)
	return s.Handler()
}

func get(t *testing.T, h http.Handler, path, session, language string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	if session != "" {
		r.AddCookie(&http.Cookie{Name: cookie, Value: session})
	}
	r.Header.Set("Accept-Language", language)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestConsole(t *testing.T) {
	t.Parallel()

	t.Run("ShowsNothingBeforeSignIn", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/", "/workspaces/acme", "/workspaces/acme/events/e-1", "/find?workspace=acme&event=e"} {
			for _, session := range []string{"", "wrong"} {
				w := get(t, setup(t), path, session, "en")
				require.Equal(t, http.StatusUnauthorized, w.Code, path)
				require.NotContains(t, w.Body.String(), "Acme", path)
			}
		}
		require.Equal(t, http.StatusUnauthorized, get(t, setup(t), "/?token=wrong", "", "en").Code)
	})

	t.Run("TheTokenBecomesAStrictCookieAndLeavesTheAddress", func(t *testing.T) {
		t.Parallel()
		w := get(t, setup(t), "/?token="+testToken, "", "en")
		require.Equal(t, http.StatusSeeOther, w.Code)
		require.Equal(t, "/", w.Header().Get("Location"))
		c := w.Result().Cookies()[0]
		require.True(t, c.HttpOnly)
		require.Equal(t, http.SameSiteStrictMode, c.SameSite)
	})

	for name, tc := range map[string]struct {
		path, language string
		code           int
		want           []string
	}{
		"Overview":     {"/", "en", 200, []string{"Acme &lt;b&gt;", "41", "Workspaces"}},
		"Japanese":     {"/", "ja-JP,ja;q=0.9", 200, []string{`lang="ja"`, "ワークスペース"}},
		"Workspace":    {"/workspaces/acme", "en", 200, []string{"Acme Org", "videos", "SF_VALIDATION", "a rule refused"}},
		"NoWorkspace":  {"/workspaces/other", "en", 404, []string{"404"}},
		"Event":        {"/workspaces/acme/events/e-1", "en", 200, []string{"WRITTEN Task 00T000000000001AAA"}},
		"UnknownEvent": {"/workspaces/acme/events/e-2", "en", 200, []string{"Nothing is known"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := get(t, setup(t), tc.path, testToken, tc.language)
			require.Equal(t, tc.code, w.Code)
			for _, want := range tc.want {
				require.Contains(t, w.Body.String(), want)
			}
		})
	}

	t.Run("FindLeadsToTheEvent", func(t *testing.T) {
		t.Parallel()
		w := get(t, setup(t), "/find?workspace=acme&event=a/b", testToken, "en")
		require.Equal(t, "/workspaces/acme/events/a%2Fb", w.Header().Get("Location"))
	})

	t.Run("BothLanguagesHaveTheSameTexts", func(t *testing.T) {
		t.Parallel()
		for key := range english {
			require.NotEmpty(t, japanese[key], key)
		}
		require.Len(t, japanese, len(english))
	})

	t.Run("StartsAndStops", func(t *testing.T) {
		t.Parallel()
		s, err := New(Config{Listen: "127.0.0.1:0", LookupTimeout: time.Minute, Token: secret.New(testToken)}, Deps{Settings: fakeSettings{}, Tracer: fakeTracer{}})
		require.NoError(t, err)
		require.Error(t, s.Ready())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		require.Eventually(t, func() bool { return s.Ready() == nil }, time.Minute, time.Millisecond)
		cancel()
		require.NoError(t, <-done)
	})

	t.Run("RefusesToStartWithoutAToken", func(t *testing.T) {
		t.Parallel()
		_, err := New(DefaultConfig(), Deps{Settings: fakeSettings{}, Tracer: fakeTracer{}})
		require.ErrorContains(t, err, "console.token")
	})
}
