package kms_test

import (
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/seal/kms"
	"github.com/throughline-dev/throughline/libs/seal/kms/kmstest"
)

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

type testBundle struct {
	vault *kmstest.Vault
	cfg   kms.Config
	file  seal.File
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	v := kmstest.NewVault(t, "throughline")
	cfg := v.Config(t)
	wrapper, err := kms.Open(cfg)
	require.NoError(t, err)
	return &testBundle{vault: v, cfg: cfg, file: seal.File{Path: filepath.Join(t.TempDir(), "installation.key"), Wrapper: wrapper}}
}

func TestVaultWrapsTheInstallationKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	inst, err := b.file.LoadOrCreate(epoch)
	require.NoError(t, err)
	sealed, err := inst.Seal([]byte("refresh token"), []byte("acme"))
	require.NoError(t, err)
	data, err := os.ReadFile(b.file.Path)
	require.NoError(t, err)
	require.Contains(t, string(data), "encryptedKeyset")
	require.NotContains(t, string(data), "keyData", "the file holds no key in the clear")

	calls := b.vault.Calls()
	for range 100 {
		_, err := inst.Open(sealed, []byte("acme"))
		require.NoError(t, err)
	}
	require.Equal(t, calls, b.vault.Calls(), "values are opened without the key service")

	b.vault.Rotate()
	again, err := b.file.Load()
	require.NoError(t, err, "the key service may rotate its own key")
	plain, err := again.Open(sealed, []byte("acme"))
	require.NoError(t, err)
	require.Equal(t, "refresh token", string(plain))
}

func TestRotationUnderVault(t *testing.T) {
	t.Parallel()
	b := setup(t)
	inst, err := b.file.LoadOrCreate(epoch)
	require.NoError(t, err)
	sealed, err := inst.Seal([]byte("x"), nil)
	require.NoError(t, err)
	id, err := b.file.AddKey(epoch)
	require.NoError(t, err)
	require.NoError(t, b.file.Promote(id, epoch))

	b.vault.Refuse(http.StatusServiceUnavailable)
	_, err = inst.Reload()
	require.ErrorContains(t, err, "503")
	_, err = inst.Open(sealed, nil)
	require.NoError(t, err, "what is in memory goes on")
	b.vault.Refuse(0)
	changed, err := inst.Reload()
	require.NoError(t, err)
	require.True(t, changed, "a change that could not be read is not forgotten")
	require.Equal(t, id, inst.Primary())
}

func TestThereIsNoFallback(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bare := seal.File{Path: b.file.Path}
	_, err := bare.LoadOrCreate(epoch)
	require.NoError(t, err)
	_, err = b.file.Load()
	require.ErrorContains(t, err, "wrap it first", "a bare file is not taken for a wrapped one")
	_, err = b.file.LoadOrCreate(epoch)
	require.Error(t, err)

	require.NoError(t, b.file.Rewrap(bare))
	_, err = bare.Load()
	require.ErrorContains(t, err, "say which one")
	_, err = b.file.Load()
	require.NoError(t, err)

	b.vault.Refuse(http.StatusForbidden)
	before, err := os.ReadFile(b.file.Path)
	require.NoError(t, err)
	_, err = b.file.Load()
	require.ErrorContains(t, err, "403")
	require.NotContains(t, err.Error(), kmstest.Token)
	_, err = b.file.AddKey(epoch)
	require.Error(t, err)
	after, err := os.ReadFile(b.file.Path)
	require.NoError(t, err)
	require.Equal(t, before, after, "what cannot be wrapped is not written")
	_, err = (seal.File{Path: b.file.Path + ".new", Wrapper: b.file.Wrapper}).LoadOrCreate(epoch)
	require.Error(t, err)
	require.NoFileExists(t, b.file.Path+".new")
}

func TestTheTokenIsReadForEveryCall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.file.LoadOrCreate(epoch)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(b.cfg.TokenFile, []byte("revoked\n"), 0o600))
	_, err = b.file.Load()
	require.ErrorContains(t, err, "permission denied")
	require.NotContains(t, err.Error(), "revoked")
	require.NoError(t, os.WriteFile(b.cfg.TokenFile, []byte(kmstest.Token+"\n"), 0o600))
	_, err = b.file.Load()
	require.NoError(t, err)
	require.NoError(t, os.Remove(b.cfg.TokenFile))
	_, err = b.file.Load()
	require.ErrorContains(t, err, "token_file")
}

func TestAKeyThatWrapsAndDoesNotUnwrapCostsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bare := seal.File{Path: b.file.Path}
	_, err := bare.LoadOrCreate(epoch)
	require.NoError(t, err)
	b.vault.RefuseDecrypt()
	require.Error(t, b.file.Rewrap(bare))
	_, err = bare.Load()
	require.NoError(t, err, "the old file is still there")
}

func TestOnlyAServiceWithATrustedCertificateIsAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(other, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: kmstest.OtherCA(t)}), 0o600))
	cfg := b.cfg
	cfg.CAFile, cfg.Retries = other, 0
	wrapper, err := kms.Open(cfg)
	require.NoError(t, err)
	_, err = wrapper.Encrypt([]byte("x"), nil)
	require.ErrorContains(t, err, "certificate")
	require.Zero(t, b.vault.Calls())
}

func TestTheEnvironmentDoesNotWeakenTheConnection(t *testing.T) {
	b := setup(t)
	t.Setenv("VAULT_SKIP_VERIFY", "true")
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	t.Setenv("VAULT_AGENT_ADDR", "http://127.0.0.1:1")
	wrapper, err := kms.Open(b.cfg)
	require.NoError(t, err)
	_, err = wrapper.Encrypt([]byte("x"), nil)
	require.NoError(t, err)
	cfg := b.cfg
	cfg.CAFile = ""
	wrapper, err = kms.Open(cfg)
	require.NoError(t, err)
	_, err = wrapper.Encrypt([]byte("x"), nil)
	require.ErrorContains(t, err, "certificate")
}

func TestConfig(t *testing.T) {
	t.Parallel()
	none, err := kms.Open(kms.DefaultConfig())
	require.NoError(t, err)
	require.Nil(t, none)
	for uri, want := range map[string]string{
		"hcvault://vault:8200/transit/keys/tl":         "",
		"hcvault://vault/a/b/keys/tl":                  "",
		"hcvault://vault:8200/transit/tl":              "key_uri",
		"hcvault:///transit/keys/tl":                   "key_uri",
		"hcvault://s3cret@vault:8200/transit/keys/tl":  "key_uri",
		"hcvault://vault/transit/keys/tl?token=s3cret": "key_uri",
		"aws-kms://arn:aws:kms:eu-central-1:1:key/1":   "key_uri",
		"http://vault/transit/keys/tl":                 "key_uri",
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
		_, err = kms.Open(cfg)
		require.Error(t, err, uri)
	}
}
