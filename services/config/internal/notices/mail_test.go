package notices_test

import (
	"io"
	"net"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/notices"
)

// mailbox is a mail server that hands over what it takes.
type mailbox struct{ got chan string }

// NewSession implements smtp.Backend.
func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &letter{box: m}, nil }

type letter struct {
	box *mailbox
	to  string
}

func (l *letter) Mail(string, *smtp.MailOptions) error { return nil }
func (l *letter) Rcpt(to string, _ *smtp.RcptOptions) error {
	if to == "nobody@acme.example" {
		return &smtp.SMTPError{Code: 550, Message: "no such user: " + to}
	}
	l.to = to
	return nil
}

func (l *letter) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	l.box.got <- l.to + "\n" + string(data)
	return err
}
func (l *letter) Reset()        {}
func (l *letter) Logout() error { return nil }

func TestMailArrives(t *testing.T) {
	t.Parallel()
	box := &mailbox{got: make(chan string, 1)}
	server := smtp.NewServer(box)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.NoError(t, <-done)
	})
	b := setup(t)
	b.cfg.SMTP = notices.SMTP{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, TLS: notices.TLSNone, From: "throughline@platform.example"}
	w := b.newWorker(t)
	ws := &configv1.Workspace{Id: "acme", Name: "Acme", Language: "en"}
	to := func(address string) *configv1.NoticeRecipient {
		return &configv1.NoticeRecipient{Workspace: "acme", Id: "ops", Channel: &configv1.NoticeRecipient_Email{
			Email: &configv1.EmailChannel{Address: address},
		}}
	}
	require.NoError(t, w.Test(t.Context(), ws, to("hanako@acme.example")))
	got := <-box.got
	require.Contains(t, got, "hanako@acme.example\n")
	require.Contains(t, got, "Subject: Throughline: test message")
	require.Contains(t, got, "Auto-Submitted: auto-generated")
	require.Contains(t, got, "This is a test.")

	err = w.Test(t.Context(), ws, to("nobody@acme.example"))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "nobody@acme.example", "promise 8")
}

func TestChannelsAreChecked(t *testing.T) {
	t.Parallel()
	cfg := notices.DefaultConfig()
	cfg.SMTP.Host = "mail.example"
	for want, r := range map[string]*configv1.NoticeRecipient{
		"":                            {Channel: &configv1.NoticeRecipient_Email{Email: &configv1.EmailChannel{Address: "hanako@acme.example"}}},
		"recipient.email.address":     {Channel: &configv1.NoticeRecipient_Email{Email: &configv1.EmailChannel{Address: "Hanako <hanako@acme.example>"}}},
		"recipient.slack.webhook_url": {Channel: &configv1.NoticeRecipient_Slack{Slack: &configv1.SlackChannel{WebhookUrl: "https://evil.example/services/x"}}},
		"recipient.webhook.url":       {Channel: &configv1.NoticeRecipient_Webhook{Webhook: &configv1.WebhookChannel{Url: "http://acme.example", Secret: hookSecret}}},
		"recipient.webhook.secret":    {Channel: &configv1.NoticeRecipient_Webhook{Webhook: &configv1.WebhookChannel{Url: "https://acme.example", Secret: "short"}}},
		"recipient":                   {},
	} {
		field, problem := cfg.Check(r)
		require.Equal(t, want, field, problem)
	}
	cfg.SMTP.Host = ""
	field, problem := cfg.Check(&configv1.NoticeRecipient{Channel: &configv1.NoticeRecipient_Email{Email: &configv1.EmailChannel{Address: "a@b.example"}}})
	require.Equal(t, "recipient.email", field)
	require.Contains(t, problem, "Slack or a webhook")
}
