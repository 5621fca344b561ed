package notices

import (
	"errors"
	"fmt"
	"time"

	"github.com/throughline-dev/throughline/libs/secret"
)

// Config says when administrators are told, and over which mail server.
type Config struct {
	// LookEvery is the time between two looks at what is in the way.
	LookEvery time.Duration `yaml:"look_every"`
	// Patience is how long trouble must last that often passes by itself: an org that does not answer, or is in maintenance.
	Patience time.Duration `yaml:"patience"`
	// Again is when a recipient is told once more of what is still in the way, or in the way again. At least 24h: one message a day.
	Again time.Duration `yaml:"again"`
	// RetryMin and RetryMax bound the wait before a recipient is tried again who could not be reached.
	RetryMin time.Duration `yaml:"retry_min"`
	RetryMax time.Duration `yaml:"retry_max"`
	// Timeout bounds the sending of one message.
	Timeout time.Duration `yaml:"timeout"`
	// Keep is how long notices are kept that have ended.
	Keep time.Duration `yaml:"keep"`
	// ParkedFor is how long the writer keeps writes for an org that cannot take them; the process fills it in from
	// writer.parking.keep_for.
	ParkedFor time.Duration `yaml:"-"`
	// AllowPrivateHosts lets webhooks go to hosts in private networks and without TLS. For trying out: it lets whoever sets a webhook
	// reach what the service can reach.
	AllowPrivateHosts bool `yaml:"allow_private_hosts"`
	// ConsoleURL is where administrators find the console; messages end with it. Empty: they do not.
	ConsoleURL string `yaml:"console_url"`
	// SMTP is the mail server. Without a host nobody can be told by mail.
	SMTP SMTP `yaml:"smtp"`
}

// SMTP is the mail server that takes messages.
type SMTP struct {
	// Host and Port are the mail server's.
	Host string `yaml:"host"`
	Port int    `yaml:"port"`
	// TLS is starttls, implicit or none; none is for a server on this machine.
	TLS string `yaml:"tls"`
	// Username, with Password or PasswordFile, authenticates; empty: nobody does. The file is read each time.
	Username     string        `yaml:"username"`
	Password     secret.String `yaml:"password"`
	PasswordFile string        `yaml:"password_file"`
	// From is the sender's address.
	From string `yaml:"from"`
}

// The ways to a mail server.
const (
	TLSStart    = "starttls"
	TLSImplicit = "implicit"
	TLSNone     = "none"
)

// DefaultConfig looks every minute, waits a quarter of an hour for what may pass, and tells once a day.
func DefaultConfig() Config {
	return Config{
		LookEvery: time.Minute, Patience: 15 * time.Minute, Again: 24 * time.Hour, RetryMin: time.Minute, RetryMax: 6 * time.Hour,
		Timeout: 20 * time.Second, Keep: 30 * 24 * time.Hour, SMTP: SMTP{Port: 587, TLS: TLSStart},
	}
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	switch {
	case c.LookEvery <= 0:
		return errors.New("look_every: want more than 0")
	case c.Patience < 0:
		return errors.New("patience: want 0 or more")
	case c.Again < 24*time.Hour:
		return errors.New("again: want at least 24h: nobody is told of the same more than once a day")
	case c.RetryMin <= 0 || c.RetryMax < c.RetryMin:
		return errors.New("retry_min: want more than 0 and at most retry_max")
	case c.Timeout <= 0 || c.Timeout > 5*time.Minute:
		return errors.New("timeout: want more than 0 and at most 5m")
	case c.Keep < 24*time.Hour:
		return errors.New("keep: want at least 24h")
	}
	return c.SMTP.validate()
}

func (s SMTP) validate() error {
	if s.Host == "" {
		return nil
	}
	switch {
	case s.Port < 1 || s.Port > 65535:
		return errors.New("smtp.port: want 1 to 65535")
	case s.TLS != TLSStart && s.TLS != TLSImplicit && s.TLS != TLSNone:
		return fmt.Errorf("smtp.tls: want %s, %s or %s, not %q", TLSStart, TLSImplicit, TLSNone, s.TLS)
	case s.From == "":
		return errors.New("smtp.from: missing; it is the address that messages come from")
	case s.TLS == TLSNone && s.Username != "":
		return errors.New("smtp.tls: none would send the password in clear")
	}
	return nil
}
