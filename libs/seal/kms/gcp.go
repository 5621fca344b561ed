package kms

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/tink-crypto/tink-go-gcpkms/v2/integration/gcpkms"
	"github.com/tink-crypto/tink-go/v2/tink"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"google.golang.org/api/option"
)

// gcpScope is what Cloud KMS asks of a token.
const gcpScope = "https://www.googleapis.com/auth/cloudkms"

// newGCP wraps with a key of Google Cloud KMS, over its REST API, with the token in a file or the credentials that Google's library
// finds.
//
//nolint:contextcheck,nolintlint // as newAWS
func newGCP(cfg Config) (tink.AEAD, error) {
	trusted, err := cfg.tls()
	if err != nil {
		return nil, err
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig = trusted
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Transport: base, Timeout: cfg.Timeout})
	var tokens oauth2.TokenSource = tokenFile(cfg.TokenFile)
	if cfg.TokenFile == "" {
		found, err := google.FindDefaultCredentials(ctx, gcpScope)
		if err != nil {
			return nil, fmt.Errorf("key service: %w", err)
		}
		tokens = found.TokenSource
	}
	client := &http.Client{Transport: &oauth2.Transport{Base: base, Source: tokens}, Timeout: cfg.Timeout}
	options := []option.ClientOption{option.WithHTTPClient(client)}
	if cfg.Endpoint != "" {
		options = append(options, option.WithEndpoint(cfg.Endpoint))
	}
	keys, err := gcpkms.NewClient(ctx, cfg.KeyURI, gcpkms.WithTransport(gcpkms.TransportREST), gcpkms.WithGoogleAPIClientOptions(options...))
	if err != nil {
		return nil, fmt.Errorf("key service: %w", err)
	}
	aead, err := keys.GetAEAD(cfg.KeyURI)
	if err != nil {
		return nil, fmt.Errorf("key service: %w", err)
	}
	return checked{aead}, nil
}

// tokenFile is an access token in a file, read anew for every call.
type tokenFile string

// Token implements oauth2.TokenSource.
func (f tokenFile) Token() (*oauth2.Token, error) {
	token, err := os.ReadFile(string(f))
	if err != nil {
		return nil, fmt.Errorf("token_file: %w", err)
	}
	return &oauth2.Token{AccessToken: strings.TrimSpace(string(token))}, nil
}
