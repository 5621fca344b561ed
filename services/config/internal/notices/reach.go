package notices

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// minSecret is the shortest key of a webhook's signature.
const minSecret = 16

// slackHost is where Slack's incoming webhooks are (Slack API documentation, "Sending messages using incoming webhooks").
const slackHost = "hooks.slack.com"

// special are the blocks that lead to no public host, or through a translator to an IPv4 address that may be inside, besides
// those that netip knows. Source: IANA, "IPv4 Special-Purpose Address Registry" and the one of IPv6.
var special = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
	// Azure, "What is IP address 168.63.129.16?": a public address that answers inside of its networks only.
	"168.63.129.16/32",
)

func prefixes(blocks ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(blocks))
	for i, block := range blocks {
		out[i] = netip.MustParsePrefix(block)
	}
	return out
}

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
	ip := to.Addr().Unmap().WithZone("")
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(ip) }) {
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
