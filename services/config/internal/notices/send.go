package notices

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"github.com/wneessen/go-mail"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
)

// Headers of a webhook's request.
const (
	// HeaderSignature is t=<seconds since 1970>,v1=<hex of the HMAC-SHA256 of "<t>.<body>">.
	HeaderSignature = "Throughline-Signature"
	userAgent       = "Throughline-Notices"
)

// errNoMail is a recipient by mail where no mail server is set.
var errNoMail = errors.New("no mail server is set: config.notices.smtp")

// sender brings messages on their way. Its errors name no address and no secret.
type sender struct {
	smtp SMTP
	http *http.Client
	now  func() time.Time
}

func newSender(cfg Config) (*sender, error) {
	s := &sender{smtp: cfg.SMTP, http: newHTTPClient(cfg), now: time.Now}
	if s.smtp.PasswordFile != "" {
		if _, err := os.Stat(s.smtp.PasswordFile); err != nil {
			return nil, fmt.Errorf("smtp.password_file: %w", err)
		}
	}
	return s, nil
}

func (s *sender) send(ctx context.Context, to *configv1.NoticeRecipient, a about, m message) error {
	switch c := to.GetChannel().(type) {
	case *configv1.NoticeRecipient_Email:
		return s.mail(ctx, c.Email.GetAddress(), m)
	case *configv1.NoticeRecipient_Slack:
		text := slackText.Replace("*" + m.subject + "*\n" + m.text)
		err := slack.PostWebhookCustomHTTPContext(ctx, c.Slack.GetWebhookUrl(), s.http, &slack.WebhookMessage{Text: text})
		return hidden("Slack", c.Slack.GetWebhookUrl(), err)
	case *configv1.NoticeRecipient_Webhook:
		return s.webhook(ctx, c.Webhook, a, m)
	}
	return errors.New("it has no channel: set its address again")
}

// slackText makes names of customers' things text that mentions nobody and links nowhere. Source: Slack API documentation,
// "Formatting message text", "Escaping text".
var slackText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// hidden takes the address out of an error that quotes it, as those of net/http do, in a spelling of their own, and the host out
// of those of net. Promise 8.
func hidden(where, address string, err error) error {
	if err == nil {
		return nil
	}
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err
	}
	text := strings.ReplaceAll(err.Error(), address, "[address]")
	if u, err := url.Parse(address); err == nil && u.Hostname() != "" {
		text = strings.ReplaceAll(text, u.Hostname(), "[host]")
	}
	return fmt.Errorf("%s: %s", where, text)
}

func (s *sender) mail(ctx context.Context, address string, m message) error {
	if s.smtp.Host == "" {
		return errNoMail
	}
	msg := mail.NewMsg()
	if err := errors.Join(msg.From(s.smtp.From), msg.To(address)); err != nil {
		return hidden("mail", address, err)
	}
	msg.Subject(m.subject)
	msg.SetDate()
	msg.SetMessageID()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no answers to it
	msg.SetBodyString(mail.TypeTextPlain, m.text)
	client, err := s.mailClient()
	if err != nil {
		return err
	}
	return hidden("mail", address, client.DialAndSendWithContext(ctx, msg))
}

func (s *sender) mailClient() (*mail.Client, error) {
	options := []mail.Option{mail.WithPort(s.smtp.Port)}
	switch s.smtp.TLS {
	case TLSImplicit:
		options = append(options, mail.WithSSL())
	case TLSNone:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if s.smtp.Username != "" {
		password := s.smtp.Password.Reveal()
		if s.smtp.PasswordFile != "" {
			data, err := os.ReadFile(s.smtp.PasswordFile) // each time: it may be renewed
			if err != nil {
				return nil, fmt.Errorf("smtp.password_file: %w", err)
			}
			password = strings.TrimRight(string(data), "\r\n")
		}
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(s.smtp.Username), mail.WithPassword(password))
	}
	client, err := mail.NewClient(s.smtp.Host, options...)
	if err != nil {
		return nil, fmt.Errorf("mail server: %w", err)
	}
	return client, nil
}

// hookBody is what a webhook gets. Fields are only ever added.
type hookBody struct {
	Workspace string       `json:"workspace"`
	Test      bool         `json:"test,omitempty"`
	Subject   string       `json:"subject"`
	Text      string       `json:"text"`
	Notices   []hookNotice `json:"notices"`
}

type hookNotice struct {
	ID          string `json:"id"`
	Kind        string `json:"kind"`
	Connection  string `json:"connection"`
	Integration string `json:"integration,omitempty"`
	ReportPush  string `json:"reportPush,omitempty"`
	Run         string `json:"run,omitempty"`
	Trouble     string `json:"trouble,omitempty"`
	State       string `json:"state,omitempty"`
	Reason      string `json:"reason,omitempty"`
	TextEN      string `json:"textEn"`
	TextJA      string `json:"textJa"`
	BeganAt     string `json:"beganAt"`
	Parked      int32  `json:"parked,omitempty"`
	ParkedUntil string `json:"parkedUntil,omitempty"`
}

func bodyOf(a about, m message) hookBody {
	body := hookBody{Workspace: a.workspace, Test: len(m.notices) == 0, Subject: m.subject, Text: m.text, Notices: []hookNotice{}}
	for _, n := range m.notices {
		h := hookNotice{
			ID: n.GetId(), Kind: strings.TrimPrefix(n.GetKind().String(), "NOTICE_KIND_"), Connection: n.GetConnection(),
			Integration: n.GetIntegration(), ReportPush: n.GetReportPush(), Run: n.GetRun(), Reason: strings.TrimPrefix(n.GetReason().String(), "REASON_"),
			TextEN: n.GetTextEn(), TextJA: n.GetTextJa(), BeganAt: instant(n.GetBeganAt().AsTime()), Parked: n.GetParked(),
		}
		if n.GetState() != configv1.ConnectionState_CONNECTION_STATE_UNSPECIFIED {
			h.State = connstate.Name(n.GetState())
		}
		if n.GetTrouble() != configv1.RunTrouble_RUN_TROUBLE_UNSPECIFIED {
			h.Trouble = strings.TrimPrefix(n.GetTrouble().String(), "RUN_TROUBLE_")
		}
		if n.GetParkedUntil() != nil {
			h.ParkedUntil = instant(n.GetParkedUntil().AsTime())
		}
		body.Notices = append(body.Notices, h)
	}
	return body
}

// Sign returns the signature of a body sent at a time, as the header carries it.
func Sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

func (s *sender) webhook(ctx context.Context, hook *configv1.WebhookChannel, a about, m message) error {
	body, err := json.Marshal(bodyOf(a, m))
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.GetUrl(), bytes.NewReader(body))
	if err != nil {
		return hidden("webhook", hook.GetUrl(), err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set(HeaderSignature, Sign(hook.GetSecret(), s.now(), body))
	resp, err := s.http.Do(req)
	if err != nil {
		return hidden("webhook", hook.GetUrl(), err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	err = errors.Join(err, resp.Body.Close())
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("webhook: it answered %d", resp.StatusCode)
	}
	return hidden("webhook", hook.GetUrl(), err)
}
