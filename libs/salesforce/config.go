package salesforce

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// DefaultAPIVersion is the version a client speaks unless told otherwise. Each version lives at least three years. Source: REST
// API Developer Guide, "API End-of-Life Policy".
const DefaultAPIVersion = "66.0"

// Config says how a client talks to one org.
type Config struct {
	// APIVersion is the pinned version, e.g. "66.0"; at least 46.0.
	APIVersion string `yaml:"api_version"`
	// Timeout is the longest one request may take, answer included. Salesforce itself gives up after 10 min.
	// Source: Limits Quick Reference, "API Request Limits and Allocations".
	Timeout time.Duration `yaml:"timeout"`
	// MaxConcurrent is how many requests of one client may be in flight; more wait. Salesforce allows 25 requests of 20 s
	// or more per org, 5 in developer orgs. Source: Limits Quick Reference, "API Request Limits and Allocations".
	MaxConcurrent int `yaml:"max_concurrent"`
	// MaxResponseBytes bounds one answer after decompression; a larger one is CodeTooLarge. At least 1,024.
	MaxResponseBytes int64 `yaml:"max_response_bytes"`
	// MaxQueryRecords bounds the records of one Query over all its pages; more are CodeTooLarge.
	MaxQueryRecords int `yaml:"max_query_records"`
	// CompressAbove is the size of a request body, in bytes, from which it is sent gzipped; 0 never. Loopback addresses
	// never get compressed bodies: it would only cost time. Source: REST API Developer Guide, "Compression Headers".
	CompressAbove int `yaml:"compress_above"`
	// BulkQuery is about the query jobs of the Bulk API 2.0.
	BulkQuery BulkQueryConfig `yaml:"bulk_query"`
	// UserAgent is also the client id of Sforce-Call-Options, which shows up in the org's logs and change events. Source:
	// REST API Developer Guide, "Call Options Header".
	UserAgent string `yaml:"user_agent"`
	// TrustedHosts are hosts besides Salesforce's own domains and loopback addresses that a token's instance address may
	// name, e.g. a simulator's. Plain http is allowed for them.
	TrustedHosts []string `yaml:"trusted_hosts"`
}

// DefaultConfig returns API 66.0, 30 s per request, 20 at a time, answers up to 32 MiB, 50,000 records per query, compression
// from 2 KiB, and query jobs looked at every 2 to 30 s for up to an hour and read by 10,000 records.
func DefaultConfig() Config {
	return Config{
		APIVersion:       DefaultAPIVersion,
		Timeout:          30 * time.Second,
		MaxConcurrent:    20,
		MaxResponseBytes: 32 << 20,
		MaxQueryRecords:  50_000,
		CompressAbove:    2 << 10,
		BulkQuery:        BulkQueryConfig{PollMin: 2 * time.Second, PollMax: 30 * time.Second, Wait: time.Hour, Page: 10_000},
		UserAgent:        "throughline",
	}
}

var apiVersion = regexp.MustCompile(`^\d{2,3}\.0$`)

// Validate names the first key that does not fit.
func (c Config) Validate() error {
	switch {
	case !apiVersion.MatchString(c.APIVersion):
		return fmt.Errorf("api_version: %q is not a version such as %q", c.APIVersion, DefaultAPIVersion)
	case c.APIVersion < "46.0" && len(c.APIVersion) == 4:
		return fmt.Errorf("api_version: %s is too old, collections by external id need 46.0", c.APIVersion)
	case c.Timeout <= 0 || c.Timeout > 10*time.Minute:
		return errors.New("timeout: must be above 0 and at most 10m")
	case c.MaxConcurrent < 1 || c.MaxConcurrent > 100:
		return errors.New("max_concurrent: must be 1 to 100")
	case c.MaxResponseBytes < 1<<10:
		return errors.New("max_response_bytes: must be at least 1024")
	case c.MaxQueryRecords < 1:
		return errors.New("max_query_records: must be at least 1")
	case c.CompressAbove < 0:
		return errors.New("compress_above: must not be negative")
	case c.UserAgent == "" || strings.ContainsAny(c.UserAgent, ",=\r\n"):
		return errors.New("user_agent: must not be empty or hold a comma, an equals sign or a line break")
	}
	return c.BulkQuery.validate()
}

// salesforceDomains are the domains under which Salesforce serves APIs.
var salesforceDomains = []string{
	"salesforce.com", "force.com", "cloudforce.com", "database.com", "salesforce.mil", "sfcrmproducts.cn",
}

// CheckAddress reports why an address must not be given a token or a secret: it must be https under one of Salesforce's
// domains, or a loopback address or one of the trusted hosts, with http or https. The error is an *Error with CodeForeignHost
// and does not quote the address.
func CheckAddress(address string, trusted []string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return &Error{Class: ClassConfig, Reason: ReasonRejected, Code: CodeForeignHost, Detail: "not an https address"}
	}
	if allowedURL(u, trusted) {
		return nil
	}
	return &Error{
		Class: ClassConfig, Reason: ReasonRejected, Code: CodeForeignHost,
		Detail: "the address is not https under one of Salesforce's own domains",
	}
}

func allowedURL(u *url.URL, trusted []string) bool {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	switch u.Scheme {
	case "https":
		return isSalesforce(host) || isLoopback(host) || contains(trusted, host)
	case "http":
		return isLoopback(host) || contains(trusted, host)
	}
	return false
}

func isSalesforce(host string) bool {
	for _, domain := range salesforceDomains {
		if host == domain || strings.HasSuffix(host, "."+domain) {
			return true
		}
	}
	return false
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func contains(hosts []string, host string) bool {
	for _, h := range hosts {
		if strings.EqualFold(h, host) {
			return true
		}
	}
	return false
}
