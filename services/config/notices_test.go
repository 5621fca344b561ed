package config_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// setupNotices runs a service that looks often, and a hook that hands over what it gets.
func setupNotices(t *testing.T) (b *testBundle, client configv1.NoticeServiceClient, hookURL string, told chan string) {
	t.Helper()
	told = make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		told <- string(body)
	}))
	t.Cleanup(server.Close)
	b = prepare(t)
	b.cfg.Notices.LookEvery, b.cfg.Notices.AllowPrivateHosts = 10*time.Millisecond, true
	b.start(t)
	b.workspace(t, "acme")
	b.workspace(t, "globex")
	return b, configv1.NewNoticeServiceClient(b.dial(t, acmeToken)), server.URL, told
}

func hookRecipient(id, url string, version int64) *configv1.PutNoticeRecipientRequest {
	return &configv1.PutNoticeRecipientRequest{Recipient: &configv1.NoticeRecipient{
		Workspace: "acme", Id: id, Language: "en", Version: version,
		Channel: &configv1.NoticeRecipient_Webhook{Webhook: &configv1.WebhookChannel{Url: url, Secret: "a-secret-of-the-hook"}},
	}}
}

func TestAdministratorsAreToldWhatIsInTheWay(t *testing.T) {
	t.Attr("requirement", "IMM-15")
	t.Parallel()
	b, client, url, told := setupNotices(t)
	saved, err := client.PutNoticeRecipient(t.Context(), hookRecipient("ops", url, 0))
	require.NoError(t, err)
	require.Empty(t, saved.GetRecipient().GetWebhook().GetUrl(), "promise 8: write-only")
	_, err = client.TestNoticeRecipient(t.Context(), &configv1.TestNoticeRecipientRequest{Workspace: "acme", Recipient: "ops"})
	require.NoError(t, err)
	require.Contains(t, <-told, `"test":true`)

	require.NoError(t, b.token(t))
	b.clock.Advance(2 * time.Hour)
	b.org.refuseWith("server_error")
	require.Error(t, b.token(t))
	list, err := client.ListNotices(t.Context(), &configv1.ListNoticesRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Empty(t, list.GetNotices(), "what passes is no notice")

	b.clock.Advance(2 * time.Hour)
	b.org.refuseWith("invalid_grant")
	require.Error(t, b.token(t))
	require.Contains(t, <-told, "SF_AUTH_REVOKED")
	list, err = client.ListNotices(t.Context(), &configv1.ListNoticesRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, list.GetNotices(), 1)
	n := list.GetNotices()[0]
	require.Equal(t, streamv1.Reason_REASON_SF_AUTH_REVOKED, n.GetReason())
	require.NotEmpty(t, n.GetTextJa())
	require.NotEmpty(t, n.GetTextEn())

	until := b.clock.Now().Add(48 * time.Hour)
	quiet, err := client.QuietNotice(t.Context(), &configv1.QuietNoticeRequest{Workspace: "acme", Notice: n.GetId(), Until: timestamppb.New(until)})
	require.NoError(t, err)
	require.Equal(t, "aoi", quiet.GetNotice().GetQuietBy())
	_, err = client.QuietNotice(t.Context(), &configv1.QuietNoticeRequest{
		Workspace: "acme", Notice: n.GetId(), Until: timestamppb.New(until.Add(30 * 24 * time.Hour)),
	})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	_, err = client.QuietNotice(t.Context(), &configv1.QuietNoticeRequest{Workspace: "acme", Notice: "none"})
	require.Equal(t, codes.NotFound, status.Code(err))
	require.Empty(t, told)
}

func TestRecipientsOfNotices(t *testing.T) {
	t.Parallel()
	b, client, url, told := setupNotices(t)
	_, err := client.PutNoticeRecipient(t.Context(), hookRecipient("ops", url, 0))
	require.NoError(t, err)
	_, err = client.PutNoticeRecipient(t.Context(), hookRecipient("ops", url, 0))
	require.Equal(t, codes.Aborted, status.Code(err))
	bad := hookRecipient("other", "ftp://user:pw@"+url, 0)
	_, err = client.PutNoticeRecipient(t.Context(), bad)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.NotContains(t, err.Error(), "pw@")

	change := hookRecipient("ops", "", 1)
	change.Recipient.Channel, change.Recipient.Language = nil, "ja"
	changed, err := client.PutNoticeRecipient(t.Context(), change)
	require.NoError(t, err, "the address stays")
	require.NotNil(t, changed.GetRecipient().GetWebhook())
	_, err = client.TestNoticeRecipient(t.Context(), &configv1.TestNoticeRecipientRequest{Workspace: "acme", Recipient: "ops"})
	require.NoError(t, err)
	require.Contains(t, <-told, "これはテストです")

	_, err = client.RemoveNoticeRecipient(t.Context(), &configv1.RemoveNoticeRecipientRequest{Workspace: "acme", Recipient: "ops"})
	require.NoError(t, err)
	_, err = client.RemoveNoticeRecipient(t.Context(), &configv1.RemoveNoticeRecipientRequest{Workspace: "acme", Recipient: "ops"})
	require.NoError(t, err)
	list, err := client.ListNoticeRecipients(t.Context(), &configv1.ListNoticeRecipientsRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Empty(t, list.GetRecipients())
	_, err = client.TestNoticeRecipient(t.Context(), &configv1.TestNoticeRecipientRequest{Workspace: "acme", Recipient: "ops"})
	require.Equal(t, codes.NotFound, status.Code(err))
	for _, e := range b.audit(t, acmeToken, &configv1.ListAuditEntriesRequest{Workspace: "acme"}) {
		require.NotContains(t, e.String(), url, "promise 8")
	}
}
