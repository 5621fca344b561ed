package kms_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/seal/kms"
	"github.com/throughline-dev/throughline/libs/seal/kms/kmstest"
)

// TestCloudsWrapTheInstallationKey is not parallel: AWS's library reads its credentials from the environment.
func TestCloudsWrapTheInstallationKey(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s3cret-access-key")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	for name, start := range map[string]func(testing.TB) *kmstest.Cloud{"AWS": kmstest.NewAWS, "Google Cloud": kmstest.NewGCP} {
		t.Run(name, func(t *testing.T) {
			cloud := start(t)
			wrapper, err := kms.Open(cloud.Config(t))
			require.NoError(t, err)
			require.Empty(t, cloud.Seen(), "nothing is asked yet")
			file := seal.File{Path: filepath.Join(t.TempDir(), "installation.key"), Wrapper: wrapper}
			inst, err := file.LoadOrCreate(epoch)
			require.NoError(t, err)
			sealed, err := inst.Seal([]byte("refresh token"), []byte("acme"))
			require.NoError(t, err)
			data, err := os.ReadFile(file.Path)
			require.NoError(t, err)
			require.NotContains(t, string(data), "keyData", "the file holds no key in the clear")

			again, err := file.Load()
			require.NoError(t, err)
			plain, err := again.Open(sealed, []byte("acme"))
			require.NoError(t, err)
			require.Equal(t, "refresh token", string(plain))
			for _, h := range cloud.Seen() {
				require.NotEmpty(t, h.Get("Authorization"))
			}

			cloud.Refuse()
			_, err = file.Load()
			require.ErrorContains(t, err, "the key service")
			require.NotContains(t, err.Error(), "\n")
			require.NotContains(t, err.Error(), "s3cret")
			require.NotContains(t, err.Error(), kmstest.GCPToken)
		})
	}
}

func TestCloudConfig(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"aws-kms://arn:aws:kms:eu-central-1:111122223333:key/0f1e-2d":                  "",
		"aws-kms://arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/tl":             "",
		"aws-kms://arn:aws:s3:eu-central-1:111122223333:key/1":                         "aws-kms://arn",
		"gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k":                     "",
		"gcp-kms://projects/p/locations/l/keyRings/r":                                  "cryptoKeys",
		"gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k?token=s3cret":        "cryptoKeys",
		"azure-kms://vault.example/keys/k":                                             "hcvault://",
		"gcp-kms://user:s3cret@projects/p/locations/l/keyRings/r/cryptoKeys/k/version": "cryptoKeys",
	} {
		cfg := kms.DefaultConfig()
		cfg.KeyURI = uri
		err := cfg.Validate()
		if want == "" {
			require.NoError(t, err, uri)
			continue
		}
		require.ErrorContains(t, err, want, uri)
		require.NotContains(t, err.Error(), "s3cret", uri)
	}
	cfg := kms.DefaultConfig()
	cfg.KeyURI = "aws-kms://arn:aws:kms:eu-central-1:111122223333:key/1"
	for _, bad := range []string{"http://kms.internal", "https://kms.internal/path", "kms.internal", "https://u:s3cret@kms"} {
		cfg.Endpoint = bad
		require.ErrorContains(t, cfg.Validate(), "endpoint", bad)
	}
}
