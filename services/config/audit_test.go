package config_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/oidc/oidctest"
)

const reasonHeader = "throughline-reason-bin"

func (b *testBundle) audit(t *testing.T, token string, req *configv1.ListAuditEntriesRequest) []*configv1.AuditEntry {
	t.Helper()
	resp, err := b.access(t, token).ListAuditEntries(t.Context(), req)
	require.NoError(t, err)
	return resp.GetEntries()
}

func TestEveryChangeIsAuditedWithWhoWhatWhenAndWhy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.workspace(t, "acme")
	ctx := metadata.AppendToOutgoingContext(t.Context(), reasonHeader, "動画の追跡をやめる")
	aoi := b.client(t, acmeToken)
	_, err := aoi.PutContentSetting(ctx, &configv1.PutContentSettingRequest{
		Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: "v", Tracking: true},
	})
	require.NoError(t, err)
	b.clock.Advance(time.Hour)
	change := &configv1.PutContentSettingRequest{Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: "v", Version: 1}}
	_, err = aoi.PutContentSetting(ctx, change)
	require.NoError(t, err)
	_, err = aoi.PutContentSetting(ctx, change)
	require.Equal(t, codes.Aborted, status.Code(err))

	entries := b.audit(t, acmeToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", Kind: "content"})
	require.Len(t, entries, 2, "what was refused changed nothing")
	require.True(t, proto.Equal(&configv1.AuditEntry{
		Sequence: entries[0].GetSequence(), Workspace: "acme", At: timestamppb.New(epoch.Add(time.Hour)), Actor: "aoi", Role: "admin",
		Action: "PutContentSetting", Kind: "content", Target: "v", Version: 2, Reason: "動画の追跡をやめる",
		Changes: []*configv1.FieldChange{{Path: "tracking", Before: "true"}},
	}, entries[0]), entries[0])

	_, err = aoi.PutContentSetting(metadata.AppendToOutgoingContext(t.Context(), reasonHeader, strings.Repeat("x", 501)), change)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

func TestTheAuditLogIsReadInPagesByWhomItConcerns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.workspace(t, "acme")
	b.workspace(t, "globex")
	for i := range 25 {
		_, err := b.admin.PutContentSetting(t.Context(), &configv1.PutContentSettingRequest{
			Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: fmt.Sprint("v", i)},
		})
		require.NoError(t, err)
	}
	access := b.access(t, acmeToken)
	req := &configv1.ListAuditEntriesRequest{Workspace: "acme", PageSize: 10}
	seen := map[int64]bool{}
	pages := 0
	for {
		resp, err := access.ListAuditEntries(t.Context(), req)
		require.NoError(t, err)
		pages++
		for _, e := range resp.GetEntries() {
			require.False(t, seen[e.GetSequence()])
			require.Equal(t, "acme", e.GetWorkspace())
			seen[e.GetSequence()] = true
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			break
		}
		other := proto.CloneOf(req)
		other.Kind = "member"
		_, err = access.ListAuditEntries(t.Context(), other)
		require.Equal(t, []string{"page_token"}, fieldsOf(t, err))
	}
	require.Equal(t, 3, pages)
	require.Len(t, seen, 27, "25 switches, the workspace and its connection")
	for _, token := range []string{"x", "AAAA", "AAAAAAAAAAAA"} {
		_, err := access.ListAuditEntries(t.Context(), &configv1.ListAuditEntriesRequest{Workspace: "acme", PageToken: token})
		require.Equal(t, []string{"page_token"}, fieldsOf(t, err))
	}
	_, err := b.access(t, acmeViewer).ListAuditEntries(t.Context(), &configv1.ListAuditEntriesRequest{Workspace: "acme"})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	for _, workspace := range []string{"globex", ""} {
		_, err = access.ListAuditEntries(t.Context(), &configv1.ListAuditEntriesRequest{Workspace: workspace})
		require.Equal(t, codes.PermissionDenied, status.Code(err))
	}
	_, _, err = b.svc.AdministratorLink(t.Context())
	require.NoError(t, err)
	require.Len(t, b.audit(t, adminToken, &configv1.ListAuditEntriesRequest{}), 1, "what concerns no workspace")
}

// plantSecrets lets everything in that is secret or personal, by right and by wrong ways, and returns it.
func (b *testBundle) plantSecrets(t *testing.T, issuer *oidctest.Issuer) []string {
	t.Helper()
	ctx := t.Context()
	c := b.connection("acme")
	c.Id, c.Grant = "jwt", &configv1.Connection_JwtBearer{JwtBearer: &configv1.JwtBearer{
		ClientId: "consumer", Subject: "planted.user@acme.example", PrivateKey: "planted-private-key",
	}}
	_, err := b.admin.PutConnection(ctx, &configv1.PutConnectionRequest{Connection: c})
	require.NoError(t, err)
	_, err = b.admin.CheckConnection(ctx, &configv1.CheckConnectionRequest{Workspace: "acme", Connection: "jwt"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "planted")
	key := b.newKey(t, "reader", scopeRead)
	ren := member("ren", configv1.Role_ROLE_VIEWER, 0)
	ren.Name, ren.Subject, ren.Email = "Planted Ren", "", "ren@acme.example"
	require.NoError(t, put(ctx, b.access(t, acmeToken), ren))
	token, stranger, forged := issuer.Token(t, "ren", epoch, nil), issuer.Token(t, "stranger", epoch, nil), issuer.Forged(t, "ren", epoch)
	session, err := b.access(t, "").SignIn(ctx, &configv1.SignInRequest{IdToken: token})
	require.NoError(t, err)
	link, _, err := b.svc.AdministratorLink(ctx)
	require.NoError(t, err)
	for _, wrong := range []string{stranger, forged, key + "x", session.GetSession().GetToken() + "x", link} {
		require.Equal(t, codes.Unauthenticated, b.reads(t, wrong, "acme"))
	}
	require.Equal(t, codes.PermissionDenied, b.reads(t, token, "globex"))
	return []string{
		"planted.user@acme.example", "planted-private-key", "consumer-secret", key, "Planted Ren", "ren@acme.example", "stranger@acme.example",
		token, stranger, forged, session.GetSession().GetToken(), link, adminToken, acmeToken,
	}
}

// What went in is looked for in all of the audit log.
func TestTheAuditLogHoldsNeitherSecretsNorPeople(t *testing.T) {
	t.Parallel()
	b, issuer := withIssuer(t)
	planted := b.plantSecrets(t, issuer)
	entries := b.audit(t, adminToken, &configv1.ListAuditEntriesRequest{Workspace: "acme"})
	entries = append(entries, b.audit(t, adminToken, &configv1.ListAuditEntriesRequest{})...)
	require.Greater(t, len(entries), 6)
	for _, e := range entries {
		e.Actor = "" // the one name that is kept: who did it
		text, err := protojson.Marshal(e)
		require.NoError(t, err)
		for _, p := range planted {
			require.NotContains(t, string(text), p)
		}
	}
}

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// And in all that is logged, down to the debug level.
func TestTheLogsHoldNeitherSecretsNorPeople(t *testing.T) {
	t.Parallel()
	issuer, out := oidctest.New(t), &lines{}
	b := prepare(t)
	b.deps.Logger = slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.cfg.Access.OIDC.Issuer, b.cfg.Access.OIDC.ClientID = issuer.URL, oidctest.ClientID
	b.start(t)
	b.workspace(t, "acme")
	b.workspace(t, "globex")
	planted := b.plantSecrets(t, issuer)
	issuer.SetAway(true)
	issuer.Rotate(t)
	away := issuer.Token(t, "ren", epoch, nil)
	require.Equal(t, codes.Unavailable, b.reads(t, away, "acme"))
	b.stop()
	require.Contains(t, out.String(), "a call was refused")
	require.Contains(t, out.String(), "ID tokens cannot be checked")
	for _, p := range append(planted, away) {
		require.NotContains(t, out.String(), p)
	}
}

func TestARequestThatIsCancelledLeavesNoHalf(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.workspace(t, "acme")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.admin.PutContentSetting(ctx, &configv1.PutContentSettingRequest{Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: "v"}})
	require.Equal(t, codes.Canceled, status.Code(err))
	settings, err := b.admin.ListContentSettings(t.Context(), &configv1.ListContentSettingsRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, b.audit(t, adminToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", Kind: "content"}), len(settings.GetSettings()))
}

// A workspace learns that one of its callers reached for another's; the other's log stays free of it.
func TestReachingForAnotherWorkspaceIsWrittenDown(t *testing.T) {
	t.Attr("requirement", "XC-19")
	t.Parallel()
	b := prepare(t)
	b.cfg.Access.Refusals.Burst = 2
	b.start(t)
	b.workspace(t, "acme")
	b.workspace(t, "globex")
	for range 5 {
		require.Equal(t, codes.PermissionDenied, b.reads(t, acmeViewer, "globex"))
	}
	entries := b.audit(t, adminToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", Kind: "refused"})
	require.Len(t, entries, 2, "bounded")
	require.Equal(t, "ren", entries[0].GetActor())
	require.Equal(t, "throughline.config.v1.ConfigService/GetWorkspace", entries[0].GetTarget())
	for _, workspace := range []string{"globex", ""} {
		require.Empty(t, b.audit(t, adminToken, &configv1.ListAuditEntriesRequest{Workspace: workspace, Kind: "refused"}))
	}
}
