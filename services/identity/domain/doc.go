// Package domain finds the domain that a company has registered in what people write: addresses, websites (IMM-44). It uses
// the public suffix list, so that mail.acme.co.jp belongs to acme.co.jp, and knows the domains that belong to no company.
package domain
