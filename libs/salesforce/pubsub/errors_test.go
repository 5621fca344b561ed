package pubsub

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

// TestEveryCodeHasItsClass has a row for every code of the table: class, reason, and whether waiting helps.
func TestEveryCodeHasItsClass(t *testing.T) {
	t.Parallel()
	rows := map[string]string{
		"auth SF_AUTH_REVOKED":             "service.auth.error service.auth.refresh.invalid service.auth.headers.invalid",
		"config SF_EDITION_UNSUPPORTED":    "service.tenant.license",
		"transient SF_UNAVAILABLE waiting": "service.unavailable topic.api.unavailable schema.api.unavailable subscription.internal.error subscription.fetch.replay.repeated",
		"transient SF_LIMIT waiting":       "subscription.fetch.overflow service.protection.triggered service.protection.stream.limit.triggered concurrent.client.limit.exceeded",
		"quota SF_LIMIT waiting":           "subscription.limit.exceeded",
		"config SF_NO_PERMISSION":          "topic.meta.permission schema.meta.permission subscription.topic.cannot.subscribe",
		"config SF_REJECTED":               "topic.not.found topic.validation.empty schema.validation.failed subscription.fetch.requested.events.invalid subscription.fetch.topic.mismatch subscription.fetch.request.invalid",
	}
	var seen []string
	for want, list := range rows {
		for _, code := range strings.Fields(list) {
			seen = append(seen, code)
			err := classify(status.Error(codes.Unknown, "secret.host"), metadata.Pairs("error-code", codePrefix+code))
			var e *salesforce.Error
			require.ErrorAs(t, err, &e, code)
			got := e.Class.String() + " " + e.Reason
			if e.Temporary() {
				got += " waiting"
			}
			require.Equal(t, want, got, code)
			require.Equal(t, codePrefix+code, e.Code)
			require.NotContains(t, err.Error(), "secret.host")
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(codeTable)), seen, "a row for every code")
}

func TestWithoutACodeTheStatusDecides(t *testing.T) {
	t.Parallel()
	for code, want := range map[codes.Code]salesforce.Class{
		codes.Unauthenticated: salesforce.ClassAuth, codes.PermissionDenied: salesforce.ClassConfig, codes.NotFound: salesforce.ClassConfig,
		codes.InvalidArgument: salesforce.ClassConfig, codes.Unimplemented: salesforce.ClassConfig, codes.Unavailable: salesforce.ClassTransient,
		codes.Internal: salesforce.ClassTransient, codes.ResourceExhausted: salesforce.ClassTransient,
	} {
		require.Equal(t, want, salesforce.ClassOf(classify(status.Error(code, "x"), nil)), code.String())
		require.Equal(t, want, salesforce.ClassOf(classify(status.Error(code, "x"), metadata.Pairs("error-code", codePrefix+"new.one"))), code.String())
	}
	require.Equal(t, salesforce.ClassTransient, salesforce.ClassOf(classify(io.EOF, nil)))
	for _, code := range []string{codeReplay, codeReplayMissing} {
		require.ErrorIs(t, classify(errors.New("x"), metadata.Pairs("error-code", code)), ErrReplayLost)
	}
}
