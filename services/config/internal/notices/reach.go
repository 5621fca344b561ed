package notices

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/mail"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// minSecret is the shortest key of a webhook's signature.
const minSecret = 16

// slackHost is where Slack's incoming webhooks are (Slack API documentation, "Sending messages using incoming webhooks").
const slackHost = "hooks.slack.com"

// shared is the address space of carriers' networks (RFC 6598), which netip does not count among the private ones.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// newHTTPClient follows no redirects and connects to public addresses only: a webhook is set by a customer, and must not reach what
// only this service can.
func newHTTPClient(cfg Config) *http.Client {
	dialer := &net.Dialer{Timeout: cfg.Timeout}
	if !cfg.AllowPrivateHosts {
		// The address that is connected to is checked, not the name: a name may change what it means in between.
		dialer.Control = func(_, address string, _ syscall.RawConn) error { return checkPublic(address) }
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext, transport.Proxy = dialer.DialContext, nil
	transport.MaxIdleConns = 10
	return &http.Client{
		Transport: transport, Timeout: cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func checkPublic(address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := to.Addr().Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || shared.Contains(ip) {
		return errors.New("the host is not a public one")
	}
	return nil
}

// Check says what is wrong with a recipient's channel, by field; empty when nothing is. It quotes no address.
func (c Config) Check(r *configv1.NoticeRecipient) (field, problem string) {
	switch ch := r.GetChannel().(type) {
	case *configv1.NoticeRecipient_Email:
		if a, err := mail.ParseAddress(ch.Email.GetAddress()); err != nil || a.Address != ch.Email.GetAddress() {
			return "recipient.email.address", "want an address, without a name"
		}
		if c.SMTP.Host == "" {
			return "recipient.email", "this installation has no mail server (config.notices.smtp): choose Slack or a webhook"
		}
	case *configv1.NoticeRecipient_Slack:
		if err := c.checkURL(ch.Slack.GetWebhookUrl(), slackHost); err != nil {
			return "recipient.slack.webhook_url", err.Error()
		}
	case *configv1.NoticeRecipient_Webhook:
		if err := c.checkURL(ch.Webhook.GetUrl(), ""); err != nil {
			return "recipient.webhook.url", err.Error()
		}
		if len(ch.Webhook.GetSecret()) < minSecret {
			return "recipient.webhook.secret", fmt.Sprintf("want at least %d characters", minSecret)
		}
	default:
		return "recipient", "want one of email, slack and webhook"
	}
	return "", ""
}

func (c Config) checkURL(address, host string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return errors.New("want https://<host>/…, without a user")
	}
	if c.AllowPrivateHosts {
		return nil
	}
	if u.Scheme != "https" {
		return errors.New("want https")
	}
	if host != "" && !strings.EqualFold(u.Hostname(), host) {
		return fmt.Errorf("want an address at %s", host)
	}
	return nil
}
