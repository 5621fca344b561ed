package kms

import (
	"context"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/tink-crypto/tink-go-awskms/v3/integration/awskms"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// newAWS wraps with a key of AWS KMS, in the region that its ARN names, with the credentials that the SDK finds. The associated data
// is the call's encryption context, so that AWS's log tells what a key was used for.
//
//nolint:contextcheck,nolintlint // reported at callers: a key service is opened at a start, before there is anything to cancel
func newAWS(cfg Config, region string) (tink.AEAD, error) {
	trusted, err := cfg.tls()
	if err != nil {
		return nil, err
	}
	client := awshttp.NewBuildableClient().WithTimeout(cfg.Timeout)
	if cfg.CAFile != "" { // else the SDK's own AWS_CA_BUNDLE goes
		client = client.WithTransportOptions(func(t *http.Transport) { t.TLSClientConfig = trusted })
	}
	ctx := context.Background() // the SDK keeps it for nothing but this
	found, err := awsconfig.LoadDefaultConfig(ctx,
		awsconfig.WithRegion(region), awsconfig.WithHTTPClient(client),
		awsconfig.WithRetryer(func() aws.Retryer { return retry.AddWithMaxAttempts(retry.NewStandard(), cfg.Retries+1) }))
	if err != nil {
		return nil, fmt.Errorf("key service: %w", err)
	}
	service := kms.NewFromConfig(found, func(o *kms.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
	})
	keys, err := awskms.NewClientWithOptions(ctx, cfg.KeyURI, awskms.WithKMS(service))
	if err != nil {
		return nil, fmt.Errorf("key service: %w", err)
	}
	aead, err := keys.GetAEAD(cfg.KeyURI)
	if err != nil {
		return nil, fmt.Errorf("key service: %w", err)
	}
	return checked{aead}, nil
}
