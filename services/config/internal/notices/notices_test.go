package notices_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/addrtest"
	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/notices"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

const hookSecret = "a-secret-of-the-hook"

// hook is what a customer's program got.
type hook struct {
	Workspace, Subject, Text string
	Test                     bool
	Notices                  []struct {
		ID, Kind, Connection, Integration, ReportPush, Run, Trouble, State, Reason, TextEn, TextJa, ParkedUntil string
		Parked                                                                                                  int
	}
}

type testBundle struct {
	cfg    notices.Config
	store  *store.Store
	inst   *seal.Installation
	clock  *stagetest.ManualClock
	worker *notices.Worker
	server *httptest.Server

	mu     sync.Mutex
	got    []hook
	status int
	diag   *configv1.Diagnosis
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), configtest.Database(t, filepath.Join(t.TempDir(), "config.db")))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	inst, err := seal.NewInstallation()
	require.NoError(t, err)
	b := &testBundle{cfg: notices.DefaultConfig(), store: s, inst: inst, clock: stagetest.NewClock(epoch), status: http.StatusNoContent}
	b.cfg.AllowPrivateHosts, b.cfg.ParkedFor, b.cfg.Timeout = true, 14*24*time.Hour, time.Minute
	b.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.take(t, w, r) }))
	t.Cleanup(b.server.Close)
	b.worker = b.newWorker(t)
	b.put(t, store.Key{Workspace: "acme", Kind: store.KindWorkspace, ID: "acme"}, &configv1.Workspace{Id: "acme", Name: "Acme", Language: "ja"}, nil)
	return b
}

func (b *testBundle) newWorker(t *testing.T) *notices.Worker {
	t.Helper()
	w, err := notices.New(b.cfg, notices.Deps{
		Troubles: b.store, Diagnoses: b, Notices: b.store, Tellings: b.store, Purger: b.store, Documents: b.store, RunLog: b.store, Runs: b.store,
		Installation: b.inst, Clock: b.clock, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	return w
}

// Last implements notices.Diagnoses.
func (b *testBundle) Last(context.Context, string, string) (*configv1.Diagnosis, error) {
	if b.diag == nil {
		return nil, store.ErrNotFound
	}
	return b.diag, nil
}

func (b *testBundle) take(t *testing.T, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	signed := r.Header.Get(notices.HeaderSignature)
	at, convErr := strconv.ParseInt(strings.TrimPrefix(strings.Split(signed, ",")[0], "t="), 10, 64)
	var h hook
	if errors.Join(err, convErr, json.Unmarshal(body, &h)) != nil || notices.Sign(hookSecret, time.Unix(at, 0), body) != signed {
		t.Errorf("a request that is not signed or not JSON: %s", body)
	}
	if b.status/100 == 2 {
		b.got = append(b.got, h)
	}
	w.WriteHeader(b.status)
}

func (b *testBundle) put(t *testing.T, key store.Key, m proto.Message, sealed []byte) {
	t.Helper()
	body, err := proto.Marshal(m)
	require.NoError(t, err)
	require.NoError(t, b.store.Put(t.Context(), store.Save{Key: key, Body: body, Sealed: sealed, Author: "root", At: b.clock.Now(), Action: "test"}))
}

func (b *testBundle) recipient(t *testing.T, id, language string) {
	t.Helper()
	r := &configv1.NoticeRecipient{Workspace: "acme", Id: id, Language: language, Version: 1, Channel: &configv1.NoticeRecipient_Webhook{
		Webhook: &configv1.WebhookChannel{Url: b.server.URL + "/hook?key=s3cret", Secret: hookSecret},
	}}
	sealed, err := notices.Seal(b.inst, r)
	require.NoError(t, err)
	notices.Hide(r)
	b.put(t, store.Key{Workspace: "acme", Kind: store.KindRecipient, ID: id}, r, sealed)
}

// state says where acme's connection stands from now on.
func (b *testBundle) state(t *testing.T, state configv1.ConnectionState, reason streamv1.Reason) {
	t.Helper()
	b.stateOf(t, "acme", state, reason)
}

func (b *testBundle) stateOf(t *testing.T, workspace string, state configv1.ConnectionState, reason streamv1.Reason) {
	t.Helper()
	_, _, err := b.store.ChangeState(t.Context(), workspace, "production", false, func(connstate.Status) (connstate.Status, connstate.Verdict, error) {
		return connstate.Status{State: state, Reason: reason, Cause: "test", Actor: "test", Since: b.clock.Now()}, connstate.Changed, nil
	})
	require.NoError(t, err)
}

// look looks once, and returns what was told by it.
func (b *testBundle) look(t *testing.T) []hook {
	t.Helper()
	b.mu.Lock()
	before := len(b.got)
	b.mu.Unlock()
	require.NoError(t, b.worker.Look(t.Context()))
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got[before:]
}

const (
	revoked  = configv1.ConnectionState_CONNECTION_STATE_REVOKED
	degraded = configv1.ConnectionState_CONNECTION_STATE_DEGRADED
	ready    = configv1.ConnectionState_CONNECTION_STATE_READY
)

func TestOneMessageADayWhileAConnectionIsRevoked(t *testing.T) {
	t.Attr("requirement", "IMM-15")
	t.Parallel()
	b := setup(t)
	b.recipient(t, "hanako", "")
	b.recipient(t, "john", "en")
	require.Empty(t, b.look(t), "nothing is in the way")
	b.state(t, revoked, streamv1.Reason_REASON_SF_AUTH_REVOKED)
	var batch []store.Outcome
	for i, connection := range []string{"production", "production", "other"} {
		body, err := proto.Marshal(&streamv1.Outcome{Connection: connection, Status: streamv1.Status_STATUS_PARKED})
		require.NoError(t, err)
		batch = append(batch, store.Outcome{
			Workspace: "acme", ID: strconv.Itoa(i), DecidedAt: epoch.Add(time.Duration(i) * time.Minute), Stage: "writer",
			Status: int32(streamv1.Status_STATUS_PARKED), Body: body,
		})
	}
	require.NoError(t, b.store.RecordOutcomes(t.Context(), batch))

	told := b.look(t)
	require.Len(t, told, 2, "everybody once")
	slices.SortFunc(told, func(a, b hook) int { return -strings.Compare(a.Subject, b.Subject) }) // the Japanese one first
	require.Contains(t, told[0].Subject, "production に対応が必要です", "the workspace's language")
	require.Contains(t, told[0].Text, "2 件の書き込みが待機中です")
	require.Contains(t, told[1].Text, "Connection production: Salesforce takes the authorisation no more")
	require.Contains(t, told[1].Text, "(REVOKED, SF_AUTH_REVOKED)")
	n := told[1].Notices[0]
	require.Equal(t, 2, n.Parked)
	require.Equal(t, epoch.Add(b.cfg.ParkedFor).Format(time.RFC3339), n.ParkedUntil, "the time left")

	for range 23 {
		b.clock.Advance(time.Hour)
		require.Empty(t, b.look(t))
	}
	b.clock.Advance(time.Hour)
	require.Len(t, b.look(t), 2, "the next day")
}

func TestWhatFlapsIsNoStorm(t *testing.T) {
	t.Attr("requirement", "XC-43")
	t.Attr("requirement", "IMM-15")
	t.Parallel()
	b := setup(t)
	b.recipient(t, "ops", "en")
	var told []hook
	for range 60 {
		b.state(t, degraded, streamv1.Reason_REASON_SF_UNAVAILABLE)
		told = append(told, b.look(t)...)
		b.clock.Advance(5 * time.Minute)
		b.state(t, ready, 0)
		told = append(told, b.look(t)...)
		b.clock.Advance(5 * time.Minute)
	}
	require.Empty(t, told, "what passes within a quarter of an hour is not told")

	b.state(t, degraded, streamv1.Reason_REASON_SF_UNAVAILABLE)
	b.clock.Advance(b.cfg.Patience)
	require.Len(t, b.look(t), 1)
	for range 20 { // it comes and goes for most of a day
		b.state(t, ready, 0)
		require.Empty(t, b.look(t))
		b.state(t, degraded, streamv1.Reason_REASON_SF_UNAVAILABLE)
		b.clock.Advance(time.Hour)
		require.Empty(t, b.look(t), "told today already")
	}
}

func TestABrokenIntegrationIsNamed(t *testing.T) {
	t.Attr("requirement", "XC-38")
	t.Parallel()
	b := setup(t)
	b.recipient(t, "ops", "ja")
	b.put(t, store.Key{Workspace: "acme", Kind: store.KindIntegration, ID: "follow-up"}, &configv1.Integration{Workspace: "acme", Id: "follow-up"}, nil)
	body, err := proto.Marshal(&configv1.BrokenIntegration{Problems: []*configv1.IntegrationProblem{
		{Field: "actions[0].fields[1].field", Description: "SF_FIELD_GONE: Task has no field Score__c"},
	}})
	require.NoError(t, err)
	_, err = b.store.PutBroken(t.Context(), store.Broken{
		Workspace: "acme", Kind: store.KindIntegration, ID: "follow-up", Connection: "production", Version: 1, FoundAt: epoch, Body: body,
	})
	require.NoError(t, err)
	told := b.look(t)
	require.Len(t, told, 1)
	require.Equal(t, "SF_FIELD_GONE", told[0].Notices[0].Reason)
	require.Equal(t, "follow-up", told[0].Notices[0].Integration)
	require.Contains(t, told[0].Text, "連携 follow-up")
	require.Contains(t, told[0].Text, "Score__c")
}

func TestDiagnosisSaysWhatToDo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.recipient(t, "ops", "en")
	b.diag = &configv1.Diagnosis{Results: []*configv1.ProbeResult{{
		Required: true, Status: configv1.ProbeStatus_PROBE_STATUS_BLOCKED, Reason: streamv1.Reason_REASON_SF_NO_PERMISSION,
		En: &configv1.ProbeText{Finding: "the user may not create tasks", Where: "Setup › Profiles"},
	}}}
	b.state(t, degraded, streamv1.Reason_REASON_SF_NO_PERMISSION)
	require.Contains(t, b.look(t)[0].Text, "the user may not create tasks (Setup › Profiles)")
}

func TestWhoCannotBeReachedIsTriedAgainLaterEachTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.recipient(t, "ops", "en")
	b.state(t, revoked, streamv1.Reason_REASON_SF_AUTH_REVOKED)
	b.status = http.StatusInternalServerError
	require.Empty(t, b.look(t))
	wait := b.cfg.RetryMin
	for range 4 {
		b.clock.Advance(wait - time.Second)
		require.Empty(t, b.look(t))
		b.clock.Advance(time.Second)
		require.Empty(t, b.look(t))
		wait *= 2
	}
	b.status = http.StatusNoContent
	b.clock.Advance(wait)
	require.Len(t, b.look(t), 1, "nothing is left out")
	b.clock.Advance(23 * time.Hour)
	require.Empty(t, b.look(t))
}

func TestWhoHangsDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	arrived := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-arrived: // until another workspace's message is there
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(hanging.Close)
	quick := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(arrived) }))
	t.Cleanup(quick.Close)
	for workspace, url := range map[string]string{"acme": hanging.URL, "globex": quick.URL} {
		if workspace != "acme" {
			b.put(t, store.Key{Workspace: workspace, Kind: store.KindWorkspace, ID: workspace}, &configv1.Workspace{Id: workspace}, nil)
		}
		r := &configv1.NoticeRecipient{Workspace: workspace, Id: "ops", Version: 1, Channel: &configv1.NoticeRecipient_Webhook{
			Webhook: &configv1.WebhookChannel{Url: url, Secret: hookSecret},
		}}
		sealed, err := notices.Seal(b.inst, r)
		require.NoError(t, err)
		b.put(t, store.Key{Workspace: workspace, Kind: store.KindRecipient, ID: "ops"}, r, sealed)
		b.stateOf(t, workspace, revoked, streamv1.Reason_REASON_SF_AUTH_REVOKED)
	}
	require.NoError(t, b.worker.Look(t.Context()))
	rows, err := b.store.Notices(t.Context(), "acme", b.clock.Now())
	require.NoError(t, err)
	require.False(t, rows[0].ToldAt.IsZero(), "promise 6: the other workspace's message did not wait for this one")
}

func TestOfTwoReplicasOneTells(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.recipient(t, "ops", "en")
	b.state(t, revoked, streamv1.Reason_REASON_SF_AUTH_REVOKED)
	var all sync.WaitGroup
	for range 8 {
		w := b.newWorker(t)
		all.Go(func() {
			if err := w.Look(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Len(t, b.got, 1)
}

func TestQuietAndEnded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.recipient(t, "ops", "en")
	b.state(t, revoked, streamv1.Reason_REASON_SF_AUTH_REVOKED)
	b.clock.Advance(time.Minute)
	require.Len(t, b.look(t), 1)
	rows, err := b.store.Notices(t.Context(), "acme", b.clock.Now())
	require.NoError(t, err)
	require.Len(t, rows, 1)
	quiet := rows[0]
	quiet.QuietUntil, quiet.QuietBy = b.clock.Now().Add(72*time.Hour), "hanako"
	require.NoError(t, b.store.QuietNotice(t.Context(), quiet, store.Act{Actor: "hanako", At: b.clock.Now(), Action: "test"}))
	b.clock.Advance(71 * time.Hour)
	require.Empty(t, b.look(t))
	b.clock.Advance(2 * time.Hour)
	require.Len(t, b.look(t), 1)

	b.state(t, ready, 0)
	b.clock.Advance(48 * time.Hour)
	require.Empty(t, b.look(t))
	rows, err = b.store.Notices(t.Context(), "acme", epoch)
	require.NoError(t, err)
	require.Equal(t, b.clock.Now(), rows[0].EndedAt)
	b.clock.Advance(b.cfg.Keep + time.Hour)
	require.Empty(t, b.look(t))
	rows, err = b.store.Notices(t.Context(), "acme", epoch)
	require.NoError(t, err)
	require.Empty(t, rows, "forgotten")
}

func TestErrorsHideWhereMessagesGo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	nobody := "http://" + addrtest.Free(t)
	ws := &configv1.Workspace{Id: "acme", Name: "Acme"}
	hook := &configv1.WebhookChannel{Url: nobody + "/hook?key=s3cret", Secret: hookSecret}
	err := b.worker.Test(t.Context(), ws, &configv1.NoticeRecipient{Channel: &configv1.NoticeRecipient_Webhook{Webhook: hook}})
	require.ErrorContains(t, err, "webhook")
	require.NotContains(t, err.Error(), "s3cret")
	slack := &configv1.SlackChannel{WebhookUrl: nobody + "/services/T0/s3cret"}
	err = b.worker.Test(t.Context(), ws, &configv1.NoticeRecipient{Channel: &configv1.NoticeRecipient_Slack{Slack: slack}})
	require.ErrorContains(t, err, "Slack")
	require.NotContains(t, err.Error(), "s3cret")
	// An address as it was entered is not always as it is asked for and quoted.
	hook.Url = nobody + "/hook/s3crét key"
	err = b.worker.Test(t.Context(), ws, &configv1.NoticeRecipient{Channel: &configv1.NoticeRecipient_Webhook{Webhook: hook}})
	require.ErrorContains(t, err, "webhook")
	require.NotContains(t, err.Error(), "s3cr")
	hook.Url = "https://s3cret.hooks.invalid/"
	err = b.worker.Test(t.Context(), ws, &configv1.NoticeRecipient{Channel: &configv1.NoticeRecipient_Webhook{Webhook: hook}})
	require.ErrorContains(t, err, "webhook")
	require.NotContains(t, err.Error(), "s3cret")
	mail := &configv1.EmailChannel{Address: "hanako@acme.example"}
	err = b.worker.Test(t.Context(), ws, &configv1.NoticeRecipient{Channel: &configv1.NoticeRecipient_Email{Email: mail}})
	require.ErrorContains(t, err, "smtp")
}

func TestNamesMentionNobodyInSlack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	said := make(chan string, 1)
	channel := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var message struct{ Text string }
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			t.Error(err)
		}
		said <- message.Text
	}))
	t.Cleanup(channel.Close)
	ws := &configv1.Workspace{Id: "acme", Name: "<!channel> R&D <https://evil.example|here>"}
	slack := &configv1.SlackChannel{WebhookUrl: channel.URL}
	require.NoError(t, b.worker.Test(t.Context(), ws, &configv1.NoticeRecipient{Channel: &configv1.NoticeRecipient_Slack{Slack: slack}}))
	require.Contains(t, <-said, "&lt;!channel&gt; R&amp;D &lt;https://evil.example|here&gt;")
}

func TestWebhooksReachPublicHostsOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.AllowPrivateHosts = false
	w := b.newWorker(t)
	hook := &configv1.WebhookChannel{Url: b.server.URL, Secret: hookSecret}
	err := w.Test(t.Context(), &configv1.Workspace{}, &configv1.NoticeRecipient{Channel: &configv1.NoticeRecipient_Webhook{Webhook: hook}})
	require.ErrorContains(t, err, "not a public one")
	require.Empty(t, b.got)
}
